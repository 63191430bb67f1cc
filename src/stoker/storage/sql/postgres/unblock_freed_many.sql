-- The deployments of runs that give back what they hold may have room again.
-- As an array they are looked up: joined, all groups that are blocked might be read for each.
UPDATE claim_groups SET blocked = 0
WHERE blocked = 1 AND deployment_id = ANY (ARRAY(
    SELECT l.deployment_id
    FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (run text)
    CROSS JOIN LATERAL (SELECT deployment_id FROM leases WHERE run_id = r.run LIMIT 1) AS l
))
