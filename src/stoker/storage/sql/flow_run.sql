-- One run by id.
SELECT * FROM flow_runs WHERE id = ?
