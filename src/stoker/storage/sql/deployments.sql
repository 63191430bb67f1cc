-- Deployments of a pool, or all; those that ran last first.
SELECT record FROM deployments
WHERE CAST(:pool AS TEXT) IS NULL OR pool = :pool
ORDER BY (
    SELECT max(flow_runs.id) FROM flow_runs WHERE flow_runs.deployment_id = deployments.id
) DESC NULLS LAST, id DESC
