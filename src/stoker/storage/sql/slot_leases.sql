-- Who has slots of a limit that are not back yet, and who waits for them.
SELECT id, kind, name, slots, place, asked, acquired, decays, drains_from, drained, run_id, attempt,
       host_id, label
FROM limit_leases WHERE kind = :kind AND name = :name AND drained IS NULL
UNION ALL
SELECT id, kind, name, slots, place, asked, acquired, decays, drains_from, drained, run_id, attempt,
       host_id, label
FROM limit_leases WHERE kind = :kind AND name = :name AND drained > :now
