-- Change one run's state, if it is still at the version that was decided on.
UPDATE flow_runs SET
    state_type = :type, state_name = :name, state_at = :at, state_message = :message,
    version = :new_version, attempt = :attempt, run_count = :run_count, host_id = :host_id,
    last_seq = coalesce(:seq, CASE WHEN attempt = :attempt THEN last_seq ELSE 0 END),
    started = coalesce(:started, started), ended = :ended,
    result_format = :result_format, result_data = :result_data, result_file = :result_file,
    due = :due, queued = :queued, crashes = :crashes, paused_until = :paused_until,
    anatomy = coalesce(:anatomy, anatomy), name = coalesce(:run_name, name)
WHERE id = :id AND version = :version
