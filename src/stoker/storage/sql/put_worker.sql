-- Create or replace a worker.
INSERT INTO workers (id, pool, record) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET pool = excluded.pool, record = excluded.record
