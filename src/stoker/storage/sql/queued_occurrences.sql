-- The runs of a schedule or backfill that have not been given a slot, oldest first.
SELECT id FROM flow_runs
WHERE schedule_id = ? AND ended IS NULL AND state_type = 'SCHEDULED'
ORDER BY id
