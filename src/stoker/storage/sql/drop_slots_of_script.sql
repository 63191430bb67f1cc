-- A script has ended, and with it all that it had or waited for.
DELETE FROM limit_leases WHERE host_id = ? AND (acquired IS NULL OR decays = 0)
RETURNING id, kind, name
