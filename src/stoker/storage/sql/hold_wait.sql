-- A wait is over, but its waiter has not got back what it lent.
INSERT INTO waits (waiter, child, held) VALUES (?, ?, 1)
ON CONFLICT (waiter, child) DO UPDATE SET held = 1
