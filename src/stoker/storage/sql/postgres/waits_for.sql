-- Waits for some runs.
SELECT waiter, child FROM waits WHERE child IN (SELECT json_array_elements_text(CAST(CAST(? AS TEXT) AS json)))
