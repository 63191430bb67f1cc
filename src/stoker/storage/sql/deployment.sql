-- A deployment by id or by its full name.
SELECT record FROM deployments WHERE id = ?1 OR full_name = ?1
