-- Store an automation, in place of the one that it may be.
INSERT INTO automations (id, name, record) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record
