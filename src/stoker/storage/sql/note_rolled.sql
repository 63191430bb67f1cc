-- A run's end is in a rollup from now on.
INSERT INTO rolled_runs (run_id, attempt) VALUES (?, ?) ON CONFLICT (run_id, attempt) DO NOTHING
