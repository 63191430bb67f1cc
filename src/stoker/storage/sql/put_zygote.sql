-- Note that a host holds a zygote, or could not make it.
INSERT INTO zygotes (host_id, key, record) VALUES (?, ?, ?)
ON CONFLICT (host_id, key) DO UPDATE SET record = excluded.record
