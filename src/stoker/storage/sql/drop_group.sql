-- A claim group has no run, unless some have entered it meanwhile.
DELETE FROM claim_groups
WHERE pool = ? AND lane = ? AND queue = ? AND deployment_id = ? AND inserts = ?
