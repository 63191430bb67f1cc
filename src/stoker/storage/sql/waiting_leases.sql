-- What the waiting runs of a pool hold, with what nobody has borrowed of them; oldest first.
SELECT leases.*,
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.pool_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.queue_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.worker_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.slot_from = leases.run_id)
FROM (SELECT DISTINCT waiter FROM waits WHERE held = 0) JOIN leases ON leases.run_id = waiter
WHERE leases.pool = ?
ORDER BY leases.run_id
