-- How many runs wait in each claim group of a pool.
SELECT queue, lane, count(*) FROM flow_runs
WHERE queued = 1 AND pool = ? GROUP BY queue, lane
