-- Store a delivery, in place of what it was before.
INSERT INTO outbox (
    id, automation_id, place, at, state, due, claimed_until, run_id, depth, ended, record
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, due = excluded.due, claimed_until = excluded.claimed_until,
    run_id = excluded.run_id, ended = excluded.ended, record = excluded.record
