-- Note how a lane's launches go.
INSERT INTO launches (pool, lane, record) VALUES (?, ?, ?)
ON CONFLICT (pool, lane) DO UPDATE SET record = excluded.record
