-- Forget a work pool's queues.
DELETE FROM work_queues WHERE pool = ?
