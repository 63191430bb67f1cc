-- Keys in use in a pool, by queue, worker and host.
SELECT queue, worker_id, host_id,
       sum(pool_from IS NULL), sum(queue_from IS NULL),
       sum(worker_from IS NULL), sum(slot_from IS NULL)
FROM leases WHERE pool = ? GROUP BY queue, worker_id, host_id
