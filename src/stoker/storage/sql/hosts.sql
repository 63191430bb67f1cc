-- The living hosts of a pool, or all; oldest first.
SELECT record, lease_until FROM hosts WHERE dead = 0 AND (?1 IS NULL OR pool = ?1) ORDER BY id
