-- How many runs wait in each claim group of a pool.
SELECT queue, lane, count(*) FROM flow_runs
WHERE state_type = 'SCHEDULED' AND pool = ? GROUP BY queue, lane
