-- A run waits for another.
INSERT INTO waits (waiter, child) VALUES (?, ?)
ON CONFLICT DO NOTHING
