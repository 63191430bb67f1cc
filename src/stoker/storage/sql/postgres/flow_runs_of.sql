-- Runs by their ids.
SELECT * FROM flow_runs WHERE id IN (SELECT json_array_elements_text(CAST(CAST(? AS TEXT) AS json)))
