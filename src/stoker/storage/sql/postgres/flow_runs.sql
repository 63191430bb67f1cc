-- Runs newest first, with optional filters; a page ends before a known id.
SELECT * FROM flow_runs
WHERE id < COALESCE(CAST(:before AS TEXT), 'zzzz')
  AND (CAST(:states AS TEXT) IS NULL
       OR state_type IN (SELECT json_array_elements_text(CAST(CAST(:states AS TEXT) AS json))))
  AND (CAST(:flow AS TEXT) IS NULL OR flow_name = :flow)
  AND (CAST(:pool AS TEXT) IS NULL OR pool = :pool)
ORDER BY id DESC
LIMIT :limit
