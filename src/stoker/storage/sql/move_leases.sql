-- Count a host's runs against the worker that adopted it.
UPDATE leases SET worker_id = ?2, worker_from = NULL WHERE host_id = ?1
