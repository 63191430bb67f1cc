-- Count a host's runs against the worker that adopted it.
UPDATE leases SET worker_id = :worker, worker_from = NULL WHERE host_id = :host
