-- Runs newest first, with optional filters; a page ends before a known id.
SELECT * FROM flow_runs
WHERE (:before IS NULL OR id < :before)
  AND (:states IS NULL OR state_type IN (SELECT value FROM json_each(:states)))
  AND (:deployment IS NULL OR deployment = :deployment)
  AND (:flow IS NULL OR flow_name = :flow)
  AND (:pool IS NULL OR pool = :pool)
  AND (:parent IS NULL OR parent_run_id = :parent)
ORDER BY id DESC
LIMIT :limit
