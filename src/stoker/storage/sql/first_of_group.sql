-- The first runs of one claim group.
SELECT * FROM flow_runs
WHERE queued = 1 AND pool = ? AND queue = ? AND lane = ? AND deployment_id = ?
ORDER BY due, id LIMIT ?
