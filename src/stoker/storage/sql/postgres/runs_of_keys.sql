-- The runs of a deployment that were started with some idempotency keys.
-- Each is looked up by itself: all of a deployment's runs would be read else, and then the few taken.
SELECT found.*
FROM json_array_elements_text(CAST(CAST(? AS TEXT) AS json)) AS keys (value)
CROSS JOIN LATERAL (
    SELECT * FROM flow_runs WHERE idempotency_key = keys.value AND deployment_id = ? LIMIT 1
) AS found
