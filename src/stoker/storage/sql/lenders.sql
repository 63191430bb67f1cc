-- The chain of runs that wait for a run, nearest first, with what nobody has borrowed of them.
WITH RECURSIVE chain (run_id, distance) AS (
    SELECT waiter, 1 FROM waits WHERE child = ? AND held = 0
    UNION
    SELECT waits.waiter, chain.distance + 1 FROM chain
    JOIN waits ON waits.child = chain.run_id AND waits.held = 0
    WHERE chain.distance < 100
)
SELECT leases.*,
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.pool_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.queue_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.worker_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.slot_from = leases.run_id),
       NOT EXISTS (SELECT 1 FROM leases AS b WHERE b.deployment_from = leases.run_id)
FROM chain JOIN leases USING (run_id)
ORDER BY chain.distance
