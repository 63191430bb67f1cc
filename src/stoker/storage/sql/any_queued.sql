-- Whether a run may wait in any claim group of a pool that is not blocked.
SELECT 1 FROM claim_groups WHERE pool = ? AND blocked = 0 LIMIT 1
