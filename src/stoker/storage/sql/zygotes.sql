-- What the living hosts of a pool, or all, hold and could not make.
SELECT zygotes.record
FROM hosts JOIN zygotes ON zygotes.host_id = hosts.id
WHERE hosts.dead = 0 AND (CAST(:pool AS TEXT) IS NULL OR hosts.pool = :pool)
ORDER BY hosts.id, zygotes.key
