-- Store a run's start anatomy.
UPDATE flow_runs SET anatomy = ? WHERE id = ?
