-- Store what an automation remembers of one resource.
INSERT INTO automation_windows (automation_id, key, due, record) VALUES (?, ?, ?, ?)
ON CONFLICT (automation_id, key) DO UPDATE SET due = excluded.due, record = excluded.record
