-- Create or replace a host.
INSERT OR REPLACE INTO hosts (id, pool, dead, lease_until, record) VALUES (?, ?, ?, ?, ?)
