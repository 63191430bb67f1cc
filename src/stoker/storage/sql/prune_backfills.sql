-- Forget backfills that are over, were begun before some time, and have no run any more.
DELETE FROM backfills WHERE id IN (
    SELECT id FROM backfills
    WHERE running = 0 AND id < ?
      AND NOT EXISTS (SELECT 1 FROM flow_runs WHERE flow_runs.schedule_id = backfills.id)
    ORDER BY id LIMIT ?
)
