-- A host by id.
SELECT record, lease_until FROM hosts WHERE id = ?
