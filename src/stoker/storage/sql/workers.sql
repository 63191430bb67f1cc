-- The workers of a pool, or all; oldest first.
SELECT record FROM workers WHERE ?1 IS NULL OR pool = ?1 ORDER BY id
