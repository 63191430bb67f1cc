-- Runs that a script executes itself and that are not over.
SELECT * FROM flow_runs WHERE host_id = ? AND deployment_id IS NULL AND ended IS NULL
