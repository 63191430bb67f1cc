-- Forget what a deleted automation still had to do.
DELETE FROM outbox WHERE automation_id = ? AND state = 'pending'
