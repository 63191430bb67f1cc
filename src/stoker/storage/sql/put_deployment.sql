-- Create or replace a deployment.
INSERT INTO deployments (id, full_name, pool, record, concurrency_limit) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    full_name = excluded.full_name, pool = excluded.pool, record = excluded.record,
    concurrency_limit = excluded.concurrency_limit
