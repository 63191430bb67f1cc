-- Store a new backfill.
INSERT INTO backfills (id, deployment_id, request_key, version, running, record)
VALUES (:id, :deployment, :key, :version, :running, :record)
ON CONFLICT (id) DO NOTHING
