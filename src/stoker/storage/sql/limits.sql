-- The limits of a kind, by name.
SELECT kind, name, slots, decay, active, created FROM limits WHERE kind = ? ORDER BY name
