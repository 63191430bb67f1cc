-- Rows of runs' histories.
INSERT INTO run_states (run_id, version, type, name, at, message)
SELECT r.run_id, r.version, r.type, r.name, r.at, r.message
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    run_id text, version bigint, type text, name text, at double precision, message text
)
