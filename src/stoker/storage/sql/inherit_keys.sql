-- Keys that a run has lent become the borrowers' own, or its own lender's where it had them lent.
UPDATE leases SET
    pool_from = iif(leases.pool_from = ?1, gone.pool_from, leases.pool_from),
    queue_from = iif(leases.queue_from = ?1, gone.queue_from, leases.queue_from),
    worker_from = iif(leases.worker_from = ?1, gone.worker_from, leases.worker_from),
    slot_from = iif(leases.slot_from = ?1, gone.slot_from, leases.slot_from)
FROM (SELECT pool_from, queue_from, worker_from, slot_from FROM leases WHERE run_id = ?1) AS gone
WHERE leases.pool_from = ?1 OR leases.queue_from = ?1 OR leases.worker_from = ?1
   OR leases.slot_from = ?1
