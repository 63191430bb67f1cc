-- Forget that the ends of a run are in rollups: it is no more.
DELETE FROM rolled_runs WHERE run_id = ?
