-- Note the number of a run's last frame unless it was seen before, and what came with it.
UPDATE flow_runs SET
    last_seq = coalesce(:seq, last_seq), anatomy = coalesce(:anatomy, anatomy),
    name = coalesce(:run_name, name)
WHERE id = :id AND (:seq IS NULL OR last_seq < :seq)
