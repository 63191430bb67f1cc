-- The living hosts of a pool, or all; oldest first.
SELECT record, lease_until FROM hosts WHERE dead = 0 AND (CAST(:pool AS TEXT) IS NULL OR pool = :pool) ORDER BY id
