-- Queued runs of a pool that a running one waits for.
SELECT * FROM flow_runs
WHERE queued = 1 AND pool = ? AND id IN (SELECT child FROM waits)
ORDER BY due, id
