-- The run that was started with an idempotency key.
SELECT * FROM flow_runs WHERE idempotency_key = ?
