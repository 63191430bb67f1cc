-- How many events are from before some time.
SELECT count(*) FROM events WHERE at < ?
