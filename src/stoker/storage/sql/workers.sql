-- The workers of a pool, or all; oldest first.
SELECT record FROM workers WHERE CAST(:pool AS TEXT) IS NULL OR pool = :pool ORDER BY id
