-- A host is alive: move the end of its lease.
UPDATE hosts SET lease_until = ? WHERE id = ? AND dead = 0
