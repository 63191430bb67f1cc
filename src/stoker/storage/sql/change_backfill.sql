-- Store the next version of a backfill, unless somebody else has changed or pruned it meanwhile.
UPDATE backfills SET version = :version, running = :running, record = :record
WHERE id = :id AND version = :version - 1
