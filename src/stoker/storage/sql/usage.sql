-- Keys in use in a pool, by queue, worker and host.
SELECT queue, worker_id, host_id,
       count(*) FILTER (WHERE pool_from IS NULL), count(*) FILTER (WHERE queue_from IS NULL),
       count(*) FILTER (WHERE worker_from IS NULL), count(*) FILTER (WHERE slot_from IS NULL)
FROM leases WHERE pool = ? GROUP BY queue, worker_id, host_id
