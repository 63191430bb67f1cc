-- Lanes in which runs of a pool are queued, each with one of its claim groups that has any.
SELECT g.lane, g.queue, g.deployment_id FROM claim_groups AS g
WHERE g.pool = ? AND EXISTS (
    SELECT 1 FROM flow_runs AS r
    WHERE r.queued = 1 AND r.pool = g.pool AND r.queue = g.queue AND r.lane = g.lane
      AND r.deployment_id = g.deployment_id
) AND NOT EXISTS (
    SELECT 1 FROM claim_groups AS o
    WHERE o.pool = g.pool AND o.lane = g.lane
      AND (o.queue, o.deployment_id) < (g.queue, g.deployment_id)
      AND EXISTS (
          SELECT 1 FROM flow_runs AS r
          WHERE r.queued = 1 AND r.pool = o.pool AND r.queue = o.queue AND r.lane = o.lane
            AND r.deployment_id = o.deployment_id
      )
)
