-- Forget the pauses of a run.
DELETE FROM pauses WHERE run_id = ?
