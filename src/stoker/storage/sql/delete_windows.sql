-- Forget what an automation has counted.
DELETE FROM automation_windows WHERE automation_id = ?
