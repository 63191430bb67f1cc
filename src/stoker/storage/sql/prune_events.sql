-- Of the events that came first and that all readers have read, forget those from before some time.
-- The last one stays: the next one's id is above it.
DELETE FROM events WHERE id IN (
    SELECT id FROM (SELECT id, at FROM events ORDER BY id LIMIT :limit) AS oldest
    WHERE at < :before AND id < (SELECT max(id) FROM events)
      AND NOT EXISTS (SELECT 1 FROM event_readers WHERE event_readers.position < oldest.id)
)
