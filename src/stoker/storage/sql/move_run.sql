-- Where a run that is to begin again executes.
UPDATE flow_runs SET pool = ?, queue = ?, lane = ? WHERE id = ?
