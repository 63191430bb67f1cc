-- The schedules of a deployment, by their names.
SELECT record FROM schedules WHERE deployment_id = ? ORDER BY slug
