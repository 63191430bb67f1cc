-- A deployment by id or by its full name.
SELECT record FROM deployments WHERE id = :name OR full_name = :name
