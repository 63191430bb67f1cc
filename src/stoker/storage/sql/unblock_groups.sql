-- A deployment may have room again.
UPDATE claim_groups SET blocked = 0 WHERE blocked = 1 AND deployment_id = ?
