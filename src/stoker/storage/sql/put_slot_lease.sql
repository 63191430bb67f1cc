-- Store what a request asks for of one limit.
INSERT INTO limit_leases (id, kind, name, slots, place, asked, acquired, decays, drains_from, drained,
                          run_id, attempt, host_id, label)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
