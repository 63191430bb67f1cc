-- Ends of runs that are in no rollup yet, oldest first.
SELECT id, ended FROM flow_runs
WHERE ended > :after AND ended IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM rolled_runs WHERE run_id = flow_runs.id AND rolled_runs.attempt = flow_runs.attempt
)
ORDER BY ended LIMIT :limit
