-- When the next delivery may be tried.
SELECT min(CASE WHEN claimed_until > due THEN claimed_until ELSE due END) FROM outbox
WHERE state = 'pending'
