-- Delete what a run and the runs in its process have in `pauses`.
WITH RECURSIVE gone (id) AS (
    SELECT id FROM flow_runs WHERE id = ?
    UNION
    SELECT flow_runs.id FROM flow_runs
    JOIN gone ON flow_runs.parent_run_id = gone.id
    WHERE flow_runs.deployment_id IS NULL
)
DELETE FROM pauses WHERE run_id IN (SELECT id FROM gone)
