-- Create or replace a work pool.
INSERT INTO work_pools (name, record) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET record = excluded.record
