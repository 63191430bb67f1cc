-- The schedules that fire by now, the most overdue first.
SELECT record FROM schedules WHERE next <= ? ORDER BY next LIMIT ?
