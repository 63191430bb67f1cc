-- Attempts are over, and with them all that they had or waited for; what decays does so without.
DELETE FROM limit_leases WHERE run_id IN (SELECT value FROM json_each(?)) AND (acquired IS NULL OR decays = 0)
RETURNING id, kind, name
