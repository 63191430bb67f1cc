-- The newest backfills, of all deployments or of one.
SELECT record FROM backfills
WHERE deployment_id = coalesce(:deployment, deployment_id)
ORDER BY id DESC
LIMIT :limit
