-- A run's history after its first state, oldest first.
SELECT type, name, at, message FROM run_states WHERE run_id = ? ORDER BY version
