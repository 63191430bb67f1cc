-- Queued runs of a pool that running ones wait for; the first of each waiter, queue and deployment.
-- Runs are looked up one by one, from the waits: there may be a million others that are queued.
WITH RECURSIVE kinds (waiter, kind) AS (
    SELECT * FROM (SELECT waiter, kind FROM waits ORDER BY waiter, kind LIMIT 1) AS first
    UNION ALL
    SELECT next.waiter, next.kind
    FROM kinds CROSS JOIN LATERAL (
        SELECT w.waiter, w.kind FROM waits AS w
        WHERE (w.waiter, w.kind) > (kinds.waiter, kinds.kind)
        ORDER BY w.waiter, w.kind LIMIT 1
    ) AS next
),
ids AS (
    SELECT DISTINCT first.child AS id
    FROM kinds CROSS JOIN LATERAL (
        SELECT w.child
        FROM waits AS w CROSS JOIN LATERAL (
            SELECT id FROM flow_runs WHERE id = w.child AND queued = 1 AND pool = :pool LIMIT 1
        ) AS r
        WHERE w.waiter = kinds.waiter AND w.kind = kinds.kind
        ORDER BY w.child LIMIT :most
    ) AS first
)
SELECT found.*
FROM ids CROSS JOIN LATERAL (SELECT * FROM flow_runs WHERE id = ids.id LIMIT 1) AS found
ORDER BY found.due, found.id
