-- One row of a run's history.
INSERT INTO run_states (run_id, version, type, name, at, message)
VALUES (:run_id, :version, :type, :name, :at, :message)
