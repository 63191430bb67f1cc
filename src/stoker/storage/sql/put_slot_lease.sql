-- Store what a request asks for of one limit, or that it has it now.
INSERT INTO limit_leases (id, kind, name, slots, place, asked, acquired, decays, drains_from, drained,
                          run_id, attempt, host_id, label)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, name) DO UPDATE SET
    acquired = excluded.acquired, drains_from = excluded.drains_from, drained = excluded.drained
