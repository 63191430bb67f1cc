-- What runs hold.
INSERT INTO leases (
    run_id, attempt, pool, queue, worker_id, host_id, pool_from, queue_from, worker_from,
    slot_from, deployment_id, deployment_from
)
SELECT
    r.run_id, r.attempt, r.pool, r.queue, r.worker_id, r.host_id, r.pool_from, r.queue_from,
    r.worker_from, r.slot_from, r.deployment_id, r.deployment_from
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    run_id text, attempt bigint, pool text, queue text, worker_id text, host_id text,
    pool_from text, queue_from text, worker_from text, slot_from text, deployment_id text,
    deployment_from text
)
ON CONFLICT (run_id) DO UPDATE SET
    attempt = excluded.attempt, pool = excluded.pool, queue = excluded.queue,
    worker_id = excluded.worker_id, host_id = excluded.host_id,
    pool_from = excluded.pool_from, queue_from = excluded.queue_from,
    worker_from = excluded.worker_from, slot_from = excluded.slot_from,
    deployment_id = excluded.deployment_id, deployment_from = excluded.deployment_from
