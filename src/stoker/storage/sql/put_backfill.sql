-- Store a new backfill, or the next version of one that nobody else has changed meanwhile.
INSERT INTO backfills (id, deployment_id, request_key, version, running, record)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, running = excluded.running, record = excluded.record
WHERE backfills.version = excluded.version - 1
