-- The limits that somebody waits for.
SELECT DISTINCT kind, name FROM limit_leases WHERE acquired IS NULL
