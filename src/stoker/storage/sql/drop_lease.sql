-- A run gives back what it holds.
DELETE FROM leases WHERE run_id = :run
