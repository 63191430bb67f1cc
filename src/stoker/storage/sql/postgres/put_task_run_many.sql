-- Task runs are now as given; those that are over stay as they are.
INSERT INTO task_runs (
    id, flow_run_id, task_name, name, state_type, state_name, state_at, state_message, run_count,
    started, ended
)
SELECT
    r.id, r.flow_run_id, r.task_name, r.name, r.state_type, r.state_name, r.state_at,
    r.state_message, r.run_count, r.started, r.ended
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    id text, flow_run_id text, task_name text, name text, state_type text, state_name text,
    state_at double precision, state_message text, run_count bigint, started double precision,
    ended double precision
)
ON CONFLICT (id) DO UPDATE SET
    state_type = excluded.state_type, state_name = excluded.state_name,
    state_at = excluded.state_at, state_message = excluded.state_message,
    run_count = excluded.run_count, started = excluded.started, ended = excluded.ended
WHERE task_runs.ended IS NULL
