-- The runs that a run waits for.
SELECT child FROM waits WHERE waiter = ? AND held = 0
