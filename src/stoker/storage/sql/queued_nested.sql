-- Queued runs of a pool that running ones wait for; the first of each waiter, queue and deployment.
WITH RECURSIVE kinds (waiter, kind) AS (
    SELECT * FROM (SELECT waiter, kind FROM waits ORDER BY waiter, kind LIMIT 1) AS first
    UNION ALL
    SELECT (
        SELECT w.waiter FROM waits AS w WHERE (w.waiter, w.kind) > (kinds.waiter, kinds.kind)
        ORDER BY w.waiter, w.kind LIMIT 1
    ), (
        SELECT w.kind FROM waits AS w WHERE (w.waiter, w.kind) > (kinds.waiter, kinds.kind)
        ORDER BY w.waiter, w.kind LIMIT 1
    )
    FROM kinds WHERE kinds.waiter IS NOT NULL
)
SELECT * FROM flow_runs WHERE id IN (
    SELECT c.id FROM kinds, flow_runs AS c
    WHERE c.id IN (
        SELECT r.id FROM waits AS w JOIN flow_runs AS r ON r.id = w.child
        WHERE w.waiter = kinds.waiter AND w.kind = kinds.kind AND r.queued = 1 AND r.pool = :pool
        ORDER BY w.child LIMIT :most
    )
) ORDER BY due, id
