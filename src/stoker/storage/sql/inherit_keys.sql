-- Keys that a run has lent become the borrowers' own.
UPDATE leases SET
    pool_from = nullif(pool_from, ?1), queue_from = nullif(queue_from, ?1),
    worker_from = nullif(worker_from, ?1), slot_from = nullif(slot_from, ?1)
WHERE pool_from = ?1 OR queue_from = ?1 OR worker_from = ?1 OR slot_from = ?1
