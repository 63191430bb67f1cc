-- Store a new delivery.
INSERT INTO outbox (
    id, automation_id, place, at, state, due, claimed_until, run_id, depth, ended, record
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
