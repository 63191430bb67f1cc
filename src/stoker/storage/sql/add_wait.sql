-- A run waits for another.
INSERT OR IGNORE INTO waits (waiter, child) VALUES (?, ?)
