-- What an automation remembers of one resource.
SELECT record, due FROM automation_windows WHERE automation_id = ? AND key = ?
