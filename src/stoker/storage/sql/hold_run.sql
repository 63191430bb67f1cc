-- A run's attempt and state, which stay so until this transaction ends.
SELECT attempt, state_type FROM flow_runs WHERE id = ?
