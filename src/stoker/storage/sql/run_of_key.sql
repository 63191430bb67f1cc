-- The run of a deployment that was started with an idempotency key.
SELECT * FROM flow_runs WHERE idempotency_key = ? AND deployment_id = ?
