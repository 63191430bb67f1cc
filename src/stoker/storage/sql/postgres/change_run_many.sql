-- Change runs' states, each if it is still at the version that was decided on.
UPDATE flow_runs AS f SET
    state_type = r.type, state_name = r.name, state_at = r.at, state_message = r.message,
    version = r.new_version, attempt = r.attempt, run_count = r.run_count, host_id = r.host_id,
    last_seq = coalesce(r.seq, CASE WHEN f.attempt = r.attempt THEN f.last_seq ELSE 0 END),
    started = coalesce(r.started, f.started), ended = r.ended,
    result_format = r.result_format, result_data = decode(r.result_data, 'base64'),
    result_file = r.result_file,
    due = r.due, queued = r.queued, crashes = r.crashes, paused_until = r.paused_until,
    anatomy = coalesce(r.anatomy, f.anatomy), name = coalesce(r.run_name, f.name)
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    id text, version bigint, type text, name text, at double precision, message text,
    new_version bigint, attempt bigint, run_count bigint, host_id text,
    started double precision, ended double precision, due double precision, queued bigint,
    crashes bigint, paused_until double precision, result_format text, result_data text,
    result_file text, seq bigint, anatomy text, run_name text
)
WHERE f.id = r.id AND f.version = r.version
