-- What automations remember that is over by now, first things first.
SELECT record, due FROM automation_windows WHERE due IS NOT NULL AND due <= ? ORDER BY due LIMIT ?
