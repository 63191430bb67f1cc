-- An attempt is over, and with it all that it had or waited for; what decays does so without it.
DELETE FROM limit_leases WHERE run_id = ? AND (acquired IS NULL OR decays = 0)
RETURNING id, kind, name
