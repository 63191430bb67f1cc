-- What a run holds.
INSERT OR REPLACE INTO leases (
    run_id, attempt, pool, queue, worker_id, host_id, pool_from, queue_from, worker_from, slot_from
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
