-- The deployments of runs that give back what they hold may have room again.
UPDATE claim_groups SET blocked = 0
WHERE blocked = 1 AND deployment_id IN (
    SELECT deployment_id FROM leases WHERE run_id IN (
        SELECT r.run FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (run text)
    )
)
