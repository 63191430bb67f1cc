-- Lines of runs' logs, in their order.
INSERT INTO logs (run_id, task_run_id, at, level, logger, message)
SELECT r.run_id, r.task_run_id, r.at, r.level, r.logger, r.message
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    run_id text, task_run_id text, at double precision, level bigint, logger text, message text
)
