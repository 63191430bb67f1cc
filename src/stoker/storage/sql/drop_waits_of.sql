-- A run that is over waits for nothing.
DELETE FROM waits WHERE waiter = :run
