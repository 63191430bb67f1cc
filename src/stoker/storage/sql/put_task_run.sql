-- A task run is now as given; one that is over stays as it is.
INSERT INTO task_runs VALUES (
    :id, :flow_run_id, :task_name, :name, :state_type, :state_name, :state_at, :state_message,
    :run_count, :started, :ended
)
ON CONFLICT (id) DO UPDATE SET
    state_type = excluded.state_type, state_name = excluded.state_name,
    state_at = excluded.state_at, state_message = excluded.state_message,
    run_count = excluded.run_count, started = excluded.started, ended = excluded.ended
WHERE task_runs.ended IS NULL
