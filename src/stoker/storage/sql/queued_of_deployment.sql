-- Queued runs of one deployment, counted up to a number.
SELECT count(*) FROM (
    SELECT 1 FROM flow_runs AS r JOIN claim_groups AS g
      ON r.pool = g.pool AND r.queue = g.queue AND r.lane = g.lane
     AND r.deployment_id = g.deployment_id
    WHERE r.queued = 1 AND g.deployment_id = ? LIMIT ?
) AS counted
