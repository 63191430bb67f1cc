-- What the runs of one host hold.
SELECT * FROM leases WHERE host_id = ?
