-- Schedules of deployments, and backfills; the open runs of each are found by an index.
CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    deployment_id TEXT NOT NULL,
    slug TEXT NOT NULL,
    version INTEGER NOT NULL,
    next REAL,
    record TEXT NOT NULL,
    UNIQUE (deployment_id, slug)
) STRICT;
CREATE INDEX schedules_due ON schedules (next) WHERE next IS NOT NULL;

CREATE TABLE backfills (
    id TEXT PRIMARY KEY,
    deployment_id TEXT NOT NULL,
    request_key TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    running INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX backfills_running ON backfills (id) WHERE running = 1;
CREATE INDEX backfills_of ON backfills (deployment_id, id);

CREATE INDEX flow_runs_open_of_schedule ON flow_runs (schedule_id)
WHERE schedule_id IS NOT NULL AND ended IS NULL;
