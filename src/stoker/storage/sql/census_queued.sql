-- Runs that wait for a slot, by pool and queue; from the index of those that wait alone.
SELECT pool, queue, count(*) FROM flow_runs WHERE queued = 1 GROUP BY pool, queue
