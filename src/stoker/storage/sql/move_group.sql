-- A claim group has an older head than its oldest run, unless runs have entered it meanwhile.
UPDATE claim_groups SET due = ?, head = ?
WHERE pool = ? AND lane = ? AND queue = ? AND deployment_id = ? AND inserts = ?
