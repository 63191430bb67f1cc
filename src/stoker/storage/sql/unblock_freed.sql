-- The deployment of a run that gives back what it holds may have room again.
UPDATE claim_groups SET blocked = 0
WHERE blocked = 1 AND deployment_id = (SELECT deployment_id FROM leases WHERE run_id = :run)
