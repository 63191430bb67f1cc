-- Create or replace a deployment.
INSERT OR REPLACE INTO deployments (id, full_name, pool, record) VALUES (?, ?, ?, ?)
