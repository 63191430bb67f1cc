-- The last deliveries of an automation, newest first.
SELECT record FROM outbox WHERE automation_id = ? ORDER BY at DESC, id DESC LIMIT ?
