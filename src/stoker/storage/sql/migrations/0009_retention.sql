-- Hourly sums that outlive the runs, which ends are in them, and what runs are pruned by.
CREATE TABLE rollups (
    hour INTEGER NOT NULL,
    pool TEXT NOT NULL,
    deployment TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (hour, pool, deployment)
) STRICT;

CREATE TABLE rolled_runs (
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (run_id, attempt)
) STRICT;

CREATE TABLE probes (
    name TEXT PRIMARY KEY,
    at REAL NOT NULL
) STRICT;

CREATE INDEX flow_runs_ended ON flow_runs (ended) WHERE ended IS NOT NULL;
