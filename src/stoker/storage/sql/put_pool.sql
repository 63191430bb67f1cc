-- Create or replace a work pool.
INSERT OR REPLACE INTO work_pools (name, record) VALUES (?, ?)
