-- From which ids on transactions that are under way may append events; their low 31 bits.
SELECT CAST(objid AS bigint) FROM pg_locks
WHERE locktype = 'advisory' AND classid = 5354 AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
