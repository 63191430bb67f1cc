-- The runs of a deployment that are for later, suspended, or about to be.
SELECT * FROM flow_runs
WHERE state_type = 'SCHEDULED' AND queued = 0 AND deployment_id = :deployment
UNION ALL
SELECT * FROM flow_runs
WHERE state_type = 'PAUSED' AND deployment_id = :deployment AND deployment_id IS NOT NULL
  AND (host_id IS NULL OR state_name = 'Suspending')
