-- The task runs of a flow run, oldest first.
SELECT * FROM task_runs WHERE flow_run_id = ? ORDER BY id
