-- The id of the oldest event that is kept.
SELECT min(id) FROM events
