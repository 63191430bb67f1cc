-- Store one new run.
INSERT INTO flow_runs (
    id, name, flow_name, state_type, state_name, state_at, state_message, version, attempt,
    run_count, parameters, tags, deployment, deployment_id, parent_run_id, pool, queue, lane,
    job_variables, timeout, created, started, ended, host_id, anatomy, idempotency_key,
    due, queued, crashes, schedule_id, instant, paused_until
) VALUES (
    :id, :name, :flow_name, :state_type, :state_name, :state_at, :state_message, :version,
    :attempt, :run_count, :parameters, :tags, :deployment, :deployment_id, :parent_run_id, :pool,
    :queue, :lane, :job_variables, :timeout, :created, :started, :ended, :host_id, :anatomy,
    :idempotency_key, :due, :queued, :crashes, :schedule_id, :instant, :paused_until
)
ON CONFLICT (id) DO NOTHING
