-- The runs of a deployment as `flow_runs` lists them; apart, so that its index finds them.
SELECT * FROM flow_runs
WHERE deployment = :deployment
  AND id < COALESCE(CAST(:before AS TEXT), 'zzzz')
  AND (CAST(:states AS TEXT) IS NULL OR :states LIKE '%"' || state_type || '"%')
  AND (CAST(:flow AS TEXT) IS NULL OR flow_name = :flow)
  AND (CAST(:pool AS TEXT) IS NULL OR pool = :pool)
  AND (CAST(:parent AS TEXT) IS NULL OR parent_run_id = :parent)
ORDER BY id DESC
LIMIT :limit
