-- Follow the wall clock: decay is counted in its time.
UPDATE limit_leases SET drains_from = drains_from + :by, drained = drained + :by
WHERE drained IS NOT NULL
