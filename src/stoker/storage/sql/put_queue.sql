-- Create or replace a work queue.
INSERT INTO work_queues (pool, name, priority, record) VALUES (?, ?, ?, ?)
ON CONFLICT (pool, name) DO UPDATE SET priority = excluded.priority, record = excluded.record
