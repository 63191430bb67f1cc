-- Forget the states of a run.
DELETE FROM run_states WHERE run_id = ?
