-- Store new runs.
INSERT INTO flow_runs (
    id, name, flow_name, state_type, state_name, state_at, state_message, version, attempt,
    run_count, parameters, tags, deployment, deployment_id, parent_run_id, pool, queue, lane,
    job_variables, timeout, created, started, ended, host_id, anatomy, idempotency_key, due,
    queued, crashes, schedule_id, instant, paused_until
)
SELECT
    r.id, r.name, r.flow_name, r.state_type, r.state_name, r.state_at, r.state_message,
    r.version, r.attempt, r.run_count, r.parameters, r.tags, r.deployment, r.deployment_id,
    r.parent_run_id, r.pool, r.queue, r.lane, r.job_variables, r.timeout, r.created, r.started,
    r.ended, r.host_id, r.anatomy, r.idempotency_key, r.due, r.queued, r.crashes, r.schedule_id,
    r.instant, r.paused_until
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    id text, name text, flow_name text, state_type text, state_name text,
    state_at double precision, state_message text, version bigint, attempt bigint,
    run_count bigint, parameters text, tags text, deployment text, deployment_id text,
    parent_run_id text, pool text, queue text, lane text, job_variables text,
    timeout double precision, created double precision, started double precision,
    ended double precision, host_id text, anatomy text, idempotency_key text,
    due double precision, queued bigint, crashes bigint, schedule_id text,
    instant double precision, paused_until double precision
)
ON CONFLICT (id) DO NOTHING
