-- Store a pause, or begin one again.
INSERT INTO pauses (run_id, key, ended) VALUES (?, ?, ?)
ON CONFLICT (run_id, key) DO UPDATE SET ended = excluded.ended
