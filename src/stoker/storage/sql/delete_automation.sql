-- Forget an automation.
DELETE FROM automations WHERE id = ?
