-- How many log lines are from before some time.
SELECT count(*) FROM logs WHERE at < ?
