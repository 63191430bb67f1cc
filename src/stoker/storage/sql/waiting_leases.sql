-- What a pool's waiting runs hold (held waits too), with what nobody has borrowed; oldest first.
-- A slot only of those whose wait is over and held: they wait for keys, and need no host meanwhile.
SELECT leases.*,
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.pool_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.queue_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.worker_from = leases.run_id),
       waiters.held = 1 AND NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.slot_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.deployment_from = leases.run_id)
FROM (SELECT waiter, max(held) AS held FROM waits GROUP BY waiter) AS waiters
JOIN leases ON leases.run_id = waiters.waiter
WHERE leases.pool = ?
ORDER BY leases.run_id
