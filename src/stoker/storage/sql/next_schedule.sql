-- When the next schedule fires.
SELECT min(next) FROM schedules WHERE next IS NOT NULL
