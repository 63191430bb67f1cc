-- The deployment of a claim group runs as many as it may.
UPDATE claim_groups SET blocked = 1
WHERE pool = ? AND lane = ? AND queue = ? AND deployment_id = ?
