-- Whether and how a pause has ended.
SELECT ended FROM pauses WHERE run_id = ? AND key = ?
