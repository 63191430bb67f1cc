-- Change one run's state if it is still at the version that was decided on.
UPDATE flow_runs SET
    state_type = :type, state_name = :name, state_at = :at, state_message = :message,
    version = version + 1, attempt = :attempt, run_count = :run_count, host_id = :host_id,
    last_seq = CASE WHEN attempt = :attempt THEN last_seq ELSE 0 END,
    started = CASE WHEN :first_start = 1 THEN :at ELSE started END,
    ended = CASE WHEN :terminal = 1 THEN :at END,
    result_format = :result_format, result_data = :result_data, result_file = :result_file,
    due = :due, queued = :queued, crashes = :crashes, paused_until = :paused_until
WHERE id = :id AND version = :version
