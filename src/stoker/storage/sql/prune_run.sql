-- Forget a run, if it is still over.
DELETE FROM flow_runs WHERE id = ? AND ended IS NOT NULL AND ended < ?
