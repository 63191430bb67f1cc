-- One limit.
SELECT kind, name, slots, decay, active, created FROM limits WHERE kind = ? AND name = ?
