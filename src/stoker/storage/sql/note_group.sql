-- A claim group is no younger than a run that has entered it.
INSERT INTO claim_groups (pool, lane, queue, deployment_id, due, head) VALUES (:pool, :lane, :queue, :deployment_id, :due, :head)
ON CONFLICT (pool, lane, queue, deployment_id) DO UPDATE SET
    inserts = claim_groups.inserts + 1,
    due = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.due ELSE claim_groups.due END,
    head = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.head ELSE claim_groups.head END
