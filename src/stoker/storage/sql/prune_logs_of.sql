-- Forget some lines of a run's log.
DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE run_id = ? ORDER BY id LIMIT ?)
