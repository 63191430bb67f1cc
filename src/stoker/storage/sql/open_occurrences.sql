-- How many runs of a schedule or backfill are not over.
SELECT count(*) FROM flow_runs WHERE schedule_id = ? AND ended IS NULL
