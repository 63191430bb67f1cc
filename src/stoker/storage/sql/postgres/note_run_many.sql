-- Runs are in their queues: their claim groups are no younger than they.
INSERT INTO claim_groups (pool, lane, queue, deployment_id, due, head)
SELECT DISTINCT ON (pool, lane, queue, coalesce(deployment_id, ''))
    pool, lane, queue, coalesce(deployment_id, ''), due, id
FROM flow_runs
WHERE queued = 1 AND id IN (
    SELECT r.run FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (run text)
)
ORDER BY pool, lane, queue, coalesce(deployment_id, ''), due, id
ON CONFLICT (pool, lane, queue, deployment_id) DO UPDATE SET
    inserts = claim_groups.inserts + 1,
    due = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.due ELSE claim_groups.due END,
    head = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.head ELSE claim_groups.head END
