-- Keys that a run has lent become the borrowers' own, or its own lender's where it had them lent.
UPDATE leases SET
    pool_from = CASE WHEN leases.pool_from = :run THEN gone.pool_from ELSE leases.pool_from END,
    queue_from = CASE WHEN leases.queue_from = :run THEN gone.queue_from ELSE leases.queue_from END,
    worker_from = CASE WHEN leases.worker_from = :run THEN gone.worker_from
        ELSE leases.worker_from END,
    slot_from = CASE WHEN leases.slot_from = :run THEN gone.slot_from ELSE leases.slot_from END,
    deployment_from = CASE WHEN leases.deployment_from = :run THEN gone.deployment_from
        ELSE leases.deployment_from END
FROM (
    SELECT pool_from, queue_from, worker_from, slot_from, deployment_from
    FROM leases WHERE run_id = :run
) AS gone
WHERE leases.pool_from = :run OR leases.queue_from = :run OR leases.worker_from = :run
   OR leases.slot_from = :run OR leases.deployment_from = :run
