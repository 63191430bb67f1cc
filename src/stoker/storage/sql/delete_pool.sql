-- Forget a work pool.
DELETE FROM work_pools WHERE name = ?
