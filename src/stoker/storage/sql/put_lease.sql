-- What a run holds.
INSERT INTO leases (
    run_id, attempt, pool, queue, worker_id, host_id, pool_from, queue_from, worker_from,
    slot_from, deployment_id, deployment_from
) VALUES (
    :run_id, :attempt, :pool, :queue, :worker_id, :host_id, :pool_from, :queue_from, :worker_from,
    :slot_from, :deployment_id, :deployment_from
)
ON CONFLICT (run_id) DO UPDATE SET
    attempt = excluded.attempt, pool = excluded.pool, queue = excluded.queue,
    worker_id = excluded.worker_id, host_id = excluded.host_id,
    pool_from = excluded.pool_from, queue_from = excluded.queue_from,
    worker_from = excluded.worker_from, slot_from = excluded.slot_from,
    deployment_id = excluded.deployment_id, deployment_from = excluded.deployment_from
