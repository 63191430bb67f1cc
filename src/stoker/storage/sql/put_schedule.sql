-- Store a new schedule, or the next version of one that nobody else has changed meanwhile.
INSERT INTO schedules (id, deployment_id, slug, version, next, record) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET slug = excluded.slug, version = excluded.version, next = excluded.next, record = excluded.record
WHERE schedules.version = excluded.version - 1
