-- Create or replace a host.
INSERT INTO hosts (id, pool, dead, lease_until, record) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    pool = excluded.pool, dead = excluded.dead, lease_until = excluded.lease_until,
    record = excluded.record
