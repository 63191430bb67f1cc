-- Give a run the name that was made from its parameters.
UPDATE flow_runs SET name = ? WHERE id = ?
