-- Claim groups of a lane and a queue that no limit blocks, oldest first, after a known place.
SELECT g.deployment_id, g.due, g.head, g.inserts, d.concurrency_limit,
       CASE WHEN d.concurrency_limit IS NULL THEN 0 ELSE (
           SELECT count(*) FROM leases AS l
           WHERE l.deployment_id = g.deployment_id AND l.deployment_from IS NULL
       ) END
FROM claim_groups AS g LEFT JOIN deployments AS d ON d.id = g.deployment_id
WHERE g.blocked = 0 AND g.pool = ? AND g.lane = ? AND g.queue = ? AND (g.due, g.head) > (?, ?)
ORDER BY g.due, g.head LIMIT ?
