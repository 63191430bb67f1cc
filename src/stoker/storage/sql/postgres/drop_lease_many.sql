-- Runs give back what they hold.
DELETE FROM leases WHERE run_id IN (
    SELECT r.run FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (run text)
)
