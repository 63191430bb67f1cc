-- All automations by name.
SELECT record FROM automations ORDER BY name
