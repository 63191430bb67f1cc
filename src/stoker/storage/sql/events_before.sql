-- Events before one, newest first; of one resource, or of all.
SELECT * FROM events
WHERE id < :before
  AND (CAST(:resource AS TEXT) IS NULL OR resource = :resource)
ORDER BY id DESC
LIMIT :limit
