-- The leases with a key that a run has lent.
SELECT * FROM leases
WHERE pool_from = ?1 OR queue_from = ?1 OR worker_from = ?1 OR slot_from = ?1
