-- What one request asked for.
SELECT id, kind, name, slots, place, asked, acquired, decays, drains_from, drained, run_id, attempt,
       host_id, label
FROM limit_leases WHERE id = ? ORDER BY name
