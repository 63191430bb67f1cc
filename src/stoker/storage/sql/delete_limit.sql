-- Forget a limit.
DELETE FROM limits WHERE kind = ? AND name = ?
