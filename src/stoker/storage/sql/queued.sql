-- The first runs of one claim group.
SELECT * FROM flow_runs
WHERE state_type = 'SCHEDULED' AND pool = ? AND queue = ? AND lane = ?
ORDER BY id LIMIT ?
