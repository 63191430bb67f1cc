-- Store a limit, in place of the one of its name.
INSERT INTO limits (kind, name, slots, decay, active, created) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, name) DO UPDATE SET
    slots = excluded.slots, decay = excluded.decay, active = excluded.active
