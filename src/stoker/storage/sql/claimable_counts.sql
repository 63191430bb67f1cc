-- Runs of a pool's claim groups that no limit blocks, each group counted up to a number.
SELECT g.queue, g.lane, g.deployment_id, (
           SELECT count(*) FROM (
               SELECT 1 FROM flow_runs AS r
               WHERE r.queued = 1 AND r.pool = g.pool AND r.queue = g.queue AND r.lane = g.lane
                 AND r.deployment_id = g.deployment_id
               LIMIT :most
           ) AS counted
       ), d.concurrency_limit,
       CASE WHEN d.concurrency_limit IS NULL THEN 0 ELSE (
           SELECT count(*) FROM leases AS l
           WHERE l.deployment_id = g.deployment_id AND l.deployment_from IS NULL
       ) END
FROM claim_groups AS g LEFT JOIN deployments AS d ON d.id = g.deployment_id
WHERE g.blocked = 0 AND g.pool = :pool
ORDER BY g.due, g.head
