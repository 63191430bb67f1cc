-- What a pool's waiting runs hold (held waits too), with what nobody has borrowed; oldest first.
SELECT leases.*,
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.pool_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.queue_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.worker_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.slot_from = leases.run_id)
FROM (SELECT DISTINCT waiter FROM waits) JOIN leases ON leases.run_id = waiter
WHERE leases.pool = ?
ORDER BY leases.run_id
