-- All servers that have not left, those whose lease has lapsed too; oldest first.
SELECT id, address, version, started, lease_until FROM servers ORDER BY id
