-- What one run holds.
SELECT * FROM leases WHERE run_id = ?
