-- Forget a server.
DELETE FROM servers WHERE id = ?
