-- One line of a run's log.
INSERT INTO logs (run_id, task_run_id, at, level, logger, message)
VALUES (:run_id, :task_run_id, :at, :level, :logger, :message)
