-- Requests for slots of limits, by limit, and whether they have them.
SELECT kind, name, CASE WHEN acquired IS NULL THEN 'waiting' ELSE 'held' END AS state, count(*)
FROM limit_leases WHERE drained IS NULL
GROUP BY kind, name, CASE WHEN acquired IS NULL THEN 'waiting' ELSE 'held' END
