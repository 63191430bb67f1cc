-- Keys in use of one deployment.
SELECT count(*) FROM leases WHERE deployment_id = ? AND deployment_from IS NULL
