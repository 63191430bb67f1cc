-- One backfill, by its id or by what was asked for.
SELECT record FROM backfills WHERE id = :id OR request_key = :id
