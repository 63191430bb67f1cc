-- A request is over: what decays does so without it.
DELETE FROM limit_leases WHERE id = ? AND (acquired IS NULL OR decays = 0) RETURNING id, kind, name
