-- Runs of one claim group, counted up to a number.
SELECT count(*) FROM (
    SELECT 1 FROM flow_runs
    WHERE queued = 1 AND pool = ? AND queue = ? AND lane = ? AND deployment_id = ?
    LIMIT ?
) AS counted
