-- Create or replace a worker.
INSERT OR REPLACE INTO workers (id, pool, record) VALUES (?, ?, ?)
