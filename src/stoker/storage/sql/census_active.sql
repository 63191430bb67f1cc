-- Runs that have slots, by state, pool and queue: as many rows are read as there are leases.
SELECT flow_runs.state_type, leases.pool, leases.queue, count(*)
FROM leases JOIN flow_runs ON flow_runs.id = leases.run_id
GROUP BY flow_runs.state_type, leases.pool, leases.queue
