-- Pauses of runs, late runs, and idempotency keys of their deployment's own.
CREATE TABLE pauses (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    ended TEXT NOT NULL,
    PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX flow_runs_in_time ON flow_runs (due) WHERE queued = 1 AND state_name <> 'Late';

DROP INDEX flow_runs_key;
CREATE UNIQUE INDEX flow_runs_key ON flow_runs (idempotency_key, deployment_id)
WHERE idempotency_key IS NOT NULL;
