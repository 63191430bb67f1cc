-- Note the numbers of runs' last frames unless they were seen before, and what came with them.
UPDATE flow_runs AS f SET
    last_seq = coalesce(r.seq, f.last_seq), anatomy = coalesce(r.anatomy, f.anatomy),
    name = coalesce(r.run_name, f.name)
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    id text, seq bigint, anatomy text, run_name text
)
WHERE f.id = r.id AND (r.seq IS NULL OR f.last_seq < r.seq)
