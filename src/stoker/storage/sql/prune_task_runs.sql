-- Forget the task runs of a run.
DELETE FROM task_runs WHERE flow_run_id = ?
