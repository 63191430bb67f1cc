-- A run is in its queue: its claim group is no younger than it.
INSERT INTO claim_groups (pool, lane, queue, deployment_id, due, head)
SELECT pool, lane, queue, coalesce(deployment_id, ''), due, id FROM flow_runs
WHERE id = :run AND queued = 1
ON CONFLICT (pool, lane, queue, deployment_id) DO UPDATE SET
    inserts = claim_groups.inserts + 1,
    due = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.due ELSE claim_groups.due END,
    head = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.head ELSE claim_groups.head END
