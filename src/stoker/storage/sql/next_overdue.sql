-- When the next pause ends by itself.
SELECT min(paused_until) FROM flow_runs
WHERE paused_until IS NOT NULL AND state_name <> 'Suspending'
