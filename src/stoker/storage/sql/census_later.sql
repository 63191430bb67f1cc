-- Runs that are due later; from their index alone.
SELECT count(*) FROM flow_runs WHERE state_type = 'SCHEDULED' AND queued = 0 AND due > 0
