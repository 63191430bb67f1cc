-- How often an automation has fired since then.
SELECT count(*) FROM outbox
WHERE automation_id = ? AND at > ? AND place = 0
