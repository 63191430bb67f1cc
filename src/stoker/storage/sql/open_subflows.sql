-- Runs in the process of other runs, at any depth, that are not over.
WITH RECURSIVE inner_runs (id) AS (
    SELECT id FROM flow_runs
    WHERE parent_run_id IN (SELECT value FROM json_each(?)) AND deployment_id IS NULL
    UNION
    SELECT flow_runs.id FROM flow_runs
    JOIN inner_runs ON flow_runs.parent_run_id = inner_runs.id
    WHERE flow_runs.deployment_id IS NULL
)
SELECT flow_runs.* FROM flow_runs JOIN inner_runs USING (id) WHERE flow_runs.ended IS NULL
