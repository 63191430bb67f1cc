-- How many runs ended before some time that no open run needs: none waits for them, none
-- was started by them, and what started them is over.
SELECT count(*) FROM flow_runs AS one
WHERE ended IS NOT NULL AND ended < :before
  AND NOT EXISTS (SELECT 1 FROM waits WHERE waits.child = one.id)
  AND NOT EXISTS (
      SELECT 1 FROM flow_runs AS child WHERE child.parent_run_id = one.id AND child.ended IS NULL
  )
  AND NOT EXISTS (
      SELECT 1 FROM flow_runs AS parent WHERE parent.id = one.parent_run_id AND parent.ended IS NULL
  )
