-- One delivery.
SELECT record FROM outbox WHERE id = ?
