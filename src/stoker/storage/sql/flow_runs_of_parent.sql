-- The runs that a run has started as `flow_runs` lists them; apart, so that an index finds them.
SELECT * FROM flow_runs
WHERE parent_run_id = :parent
  AND id < COALESCE(CAST(:before AS TEXT), 'zzzz')
  AND (CAST(:states AS TEXT) IS NULL OR :states LIKE '%"' || state_type || '"%')
  AND (CAST(:flow AS TEXT) IS NULL OR flow_name = :flow)
  AND (CAST(:pool AS TEXT) IS NULL OR pool = :pool)
ORDER BY id DESC
LIMIT :limit
