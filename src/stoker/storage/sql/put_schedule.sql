-- Store a new schedule.
INSERT INTO schedules (id, deployment_id, slug, version, next, record)
VALUES (:id, :deployment, :slug, :version, :next, :record)
ON CONFLICT (id) DO NOTHING
