-- One schedule.
SELECT record FROM schedules WHERE id = ?
