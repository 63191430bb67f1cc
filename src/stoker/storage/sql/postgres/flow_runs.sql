-- Runs newest first, with optional filters; a page ends before a known id.
SELECT * FROM flow_runs
WHERE (CAST(:before AS TEXT) IS NULL OR id < :before)
  AND (CAST(:states AS TEXT) IS NULL
       OR state_type IN (SELECT json_array_elements_text(CAST(CAST(:states AS TEXT) AS json))))
  AND (CAST(:deployment AS TEXT) IS NULL OR deployment = :deployment)
  AND (CAST(:flow AS TEXT) IS NULL OR flow_name = :flow)
  AND (CAST(:pool AS TEXT) IS NULL OR pool = :pool)
  AND (CAST(:parent AS TEXT) IS NULL OR parent_run_id = :parent)
ORDER BY id DESC
LIMIT :limit
