-- Runs by their ids.
SELECT * FROM flow_runs WHERE id IN (SELECT value FROM json_each(?))
