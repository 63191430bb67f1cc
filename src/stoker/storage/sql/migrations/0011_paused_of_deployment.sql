-- The paused runs of a deployment, which is read where it is deleted.
CREATE INDEX flow_runs_paused_of_deployment ON flow_runs (deployment_id)
WHERE state_type = 'PAUSED' AND deployment_id IS NOT NULL;
