-- Create or replace a deployment.
INSERT INTO deployments (id, full_name, pool, record) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    full_name = excluded.full_name, pool = excluded.pool, record = excluded.record
