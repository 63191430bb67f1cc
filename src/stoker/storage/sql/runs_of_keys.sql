-- The runs of a deployment that were started with some idempotency keys.
SELECT * FROM flow_runs
WHERE idempotency_key IN (SELECT value FROM json_each(?)) AND deployment_id = ?
