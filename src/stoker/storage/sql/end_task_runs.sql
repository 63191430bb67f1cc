-- End the task runs of a flow run that are still open.
UPDATE task_runs SET
    state_type = :type, state_name = :name, state_at = :at, state_message = :message, ended = :at
WHERE flow_run_id = :run AND ended IS NULL
