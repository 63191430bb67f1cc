-- Lanes in which runs of a pool are queued, each with one of its claim groups.
SELECT g.lane, g.queue, g.deployment_id FROM claim_groups AS g
WHERE g.pool = ? AND NOT EXISTS (
    SELECT 1 FROM claim_groups AS o
    WHERE o.pool = g.pool AND o.lane = g.lane
      AND (o.queue, o.deployment_id) < (g.queue, g.deployment_id)
)
