-- The runs that wait for a run.
SELECT waiter FROM waits WHERE child = ?
