-- Say of runs that have waited too long for a slot that they are late, the oldest first.
UPDATE flow_runs SET
    state_name = 'Late', state_at = :at, state_message = :message, version = version + 1
WHERE queued = 1 AND state_name <> 'Late' AND id IN (
    SELECT id FROM flow_runs
    WHERE queued = 1 AND state_name <> 'Late' AND state_type = :source AND due < :before
    ORDER BY due LIMIT :limit
)
RETURNING *
