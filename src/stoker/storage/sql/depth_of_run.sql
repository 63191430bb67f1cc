-- How many automations lie behind a run that one of them started.
SELECT max(depth) FROM outbox WHERE run_id = ?
