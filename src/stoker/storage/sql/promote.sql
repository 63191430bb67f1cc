-- Put the runs into their queues that are due by now.
UPDATE flow_runs SET queued = 1
WHERE state_type = 'SCHEDULED' AND queued = 0 AND due <= ?
RETURNING *
