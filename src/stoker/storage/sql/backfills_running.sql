-- The backfills that have runs to make, oldest first.
SELECT record FROM backfills WHERE running = 1 ORDER BY id
