-- Note a frame's number unless it was seen before.
UPDATE flow_runs SET last_seq = :seq WHERE id = :id AND last_seq < :seq
