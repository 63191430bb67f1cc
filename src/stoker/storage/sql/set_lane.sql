-- Queue a run in another lane.
UPDATE flow_runs SET lane = ? WHERE id = ?
