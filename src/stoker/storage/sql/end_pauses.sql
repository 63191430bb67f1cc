-- Say of all open pauses of a run how they ended.
UPDATE pauses SET ended = ? WHERE run_id = ? AND ended = 'open'
