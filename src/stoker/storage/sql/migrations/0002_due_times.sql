-- Times from which runs may be claimed, occurrences of schedules, crashes, pauses.
-- Breaks older servers: they would store runs that are in no queue.
ALTER TABLE flow_runs ADD COLUMN due REAL NOT NULL DEFAULT 0;
ALTER TABLE flow_runs ADD COLUMN queued INTEGER NOT NULL DEFAULT 0;
ALTER TABLE flow_runs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE flow_runs ADD COLUMN schedule_id TEXT;
ALTER TABLE flow_runs ADD COLUMN instant REAL;
ALTER TABLE flow_runs ADD COLUMN paused_until REAL;
ALTER TABLE leases ADD COLUMN deployment_id TEXT;

UPDATE flow_runs SET due = created;
UPDATE flow_runs SET queued = 1 WHERE state_type = 'SCHEDULED';

DROP INDEX flow_runs_queued;
CREATE INDEX flow_runs_queued ON flow_runs (pool, queue, lane, due, id) WHERE queued = 1;
CREATE INDEX flow_runs_due ON flow_runs (due) WHERE state_type = 'SCHEDULED' AND queued = 0;
CREATE UNIQUE INDEX flow_runs_instant ON flow_runs (schedule_id, instant)
WHERE schedule_id IS NOT NULL;
CREATE INDEX flow_runs_paused ON flow_runs (paused_until) WHERE paused_until IS NOT NULL;
