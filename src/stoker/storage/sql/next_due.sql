-- When the next run is due that is in no queue yet.
SELECT min(due) FROM flow_runs WHERE state_type = 'SCHEDULED' AND queued = 0
