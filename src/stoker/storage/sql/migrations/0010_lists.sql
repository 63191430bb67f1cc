-- The runs of a deployment, newest first; the claim groups of a deployment; runs in others' processes.
CREATE INDEX flow_runs_of_deployment ON flow_runs (deployment, id) WHERE deployment IS NOT NULL;
CREATE INDEX claim_groups_deployment ON claim_groups (deployment_id);
CREATE INDEX flow_runs_inner ON flow_runs (parent_run_id)
WHERE parent_run_id IS NOT NULL AND deployment_id IS NULL;
