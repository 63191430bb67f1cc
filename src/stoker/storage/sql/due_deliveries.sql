-- Deliveries to try now, that no server is at; those that wait longest first.
SELECT record FROM outbox
WHERE state = 'pending' AND due <= :now AND claimed_until <= :now
ORDER BY due, id
LIMIT :limit
