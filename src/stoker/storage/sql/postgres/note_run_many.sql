-- Runs are in their queues: their claim groups are no younger than they.
-- Runs are looked up one by one: there may be a million others that are queued.
INSERT INTO claim_groups (pool, lane, queue, deployment_id, due, head)
SELECT DISTINCT ON (f.pool, f.lane, f.queue, coalesce(f.deployment_id, ''))
    f.pool, f.lane, f.queue, coalesce(f.deployment_id, ''), f.due, f.id
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (run text)
CROSS JOIN LATERAL (SELECT * FROM flow_runs WHERE id = r.run AND queued = 1 LIMIT 1) AS f
ORDER BY f.pool, f.lane, f.queue, coalesce(f.deployment_id, ''), f.due, f.id
ON CONFLICT (pool, lane, queue, deployment_id) DO UPDATE SET
    inserts = claim_groups.inserts + 1,
    due = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.due ELSE claim_groups.due END,
    head = CASE WHEN (excluded.due, excluded.head) < (claim_groups.due, claim_groups.head)
        THEN excluded.head ELSE claim_groups.head END
