-- Events after one and up to another, oldest first; of one resource, or of all.
SELECT * FROM events
WHERE id > :after AND id <= :upto
  AND (CAST(:resource AS TEXT) IS NULL OR resource = :resource)
ORDER BY id
LIMIT :limit
