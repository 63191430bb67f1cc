-- Of the log lines that came first, forget those from before some time. The last one stays: the next
-- one's id is above it.
DELETE FROM logs WHERE id IN (
    SELECT id FROM (SELECT id, at FROM logs ORDER BY id LIMIT :limit) AS oldest
    WHERE at < :before AND id < (SELECT max(id) FROM logs)
)
