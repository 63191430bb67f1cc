-- Waits for some runs.
SELECT waiter, child FROM waits WHERE child IN (SELECT value FROM json_each(?))
