-- Forget a deployment.
DELETE FROM deployments WHERE id = ?
