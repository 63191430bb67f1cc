-- A work pool by name.
SELECT record FROM work_pools WHERE name = ?
