-- A wait is over.
DELETE FROM waits WHERE waiter = ? AND child = ?
