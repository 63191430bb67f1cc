-- Queued runs of a pool that a running one waits for.
SELECT flow_runs.* FROM waits CROSS JOIN flow_runs ON flow_runs.id = waits.child
WHERE flow_runs.queued = 1 AND flow_runs.pool = ?
GROUP BY flow_runs.id ORDER BY flow_runs.due, flow_runs.id
