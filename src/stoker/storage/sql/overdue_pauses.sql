-- Paused runs that nobody resumed in time.
SELECT * FROM flow_runs
WHERE paused_until IS NOT NULL AND paused_until <= ? AND state_name <> 'Suspending'
ORDER BY paused_until LIMIT ?
