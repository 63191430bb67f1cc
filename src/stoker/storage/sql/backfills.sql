-- The newest backfills, of all deployments or of one.
SELECT record FROM backfills
WHERE :deployment IS NULL OR deployment_id = :deployment
ORDER BY id DESC
LIMIT :limit
