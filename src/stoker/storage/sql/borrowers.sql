-- The leases with a key that a run has lent.
SELECT * FROM leases
WHERE pool_from = :run OR queue_from = :run OR worker_from = :run OR slot_from = :run
   OR deployment_from = :run
