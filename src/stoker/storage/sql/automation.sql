-- An automation by its name or its id.
SELECT record FROM automations WHERE id = :name OR name = :name
