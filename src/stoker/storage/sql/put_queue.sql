-- Create or replace a work queue.
INSERT OR REPLACE INTO work_queues (pool, name, priority, record) VALUES (?, ?, ?, ?)
