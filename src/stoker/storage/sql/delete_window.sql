-- Forget what an automation remembers of one resource.
DELETE FROM automation_windows WHERE automation_id = ? AND key = ?
