-- Note up to which event a reader has read.
INSERT INTO event_readers (name, position) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET position = excluded.position
