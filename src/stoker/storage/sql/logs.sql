-- A run's log after a line that is known.
SELECT id, at, level, logger, message, task_run_id FROM logs
WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?
