-- How launches go in a pool, lane by lane.
SELECT record FROM launches WHERE pool = ? ORDER BY lane
