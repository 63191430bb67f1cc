-- The first schema: runs, what they leave behind, where they execute, what they hold.
CREATE TABLE flow_runs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    flow_name TEXT NOT NULL,
    state_type TEXT NOT NULL,
    state_name TEXT NOT NULL,
    state_at REAL NOT NULL,
    state_message TEXT NOT NULL,
    version INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    run_count INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    tags TEXT NOT NULL,
    deployment TEXT,
    deployment_id TEXT,
    parent_run_id TEXT,
    pool TEXT,
    queue TEXT,
    lane TEXT,
    job_variables TEXT NOT NULL,
    timeout REAL,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    host_id TEXT,
    anatomy TEXT NOT NULL,
    result_format TEXT,
    result_data BLOB,
    result_file TEXT,
    idempotency_key TEXT,
    last_seq INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX flow_runs_queued ON flow_runs (pool, queue, lane, id) WHERE state_type = 'SCHEDULED';
CREATE INDEX flow_runs_parent ON flow_runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX flow_runs_deployment ON flow_runs (deployment_id, id)
WHERE deployment_id IS NOT NULL;
CREATE INDEX flow_runs_script ON flow_runs (host_id)
WHERE deployment_id IS NULL AND ended IS NULL;
CREATE UNIQUE INDEX flow_runs_key ON flow_runs (idempotency_key)
WHERE idempotency_key IS NOT NULL;

CREATE TABLE run_states (
    run_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    at REAL NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_runs (
    id TEXT PRIMARY KEY,
    flow_run_id TEXT NOT NULL,
    task_name TEXT NOT NULL,
    name TEXT NOT NULL,
    state_type TEXT NOT NULL,
    state_name TEXT NOT NULL,
    state_at REAL NOT NULL,
    state_message TEXT NOT NULL,
    run_count INTEGER NOT NULL,
    started REAL,
    ended REAL
) STRICT, WITHOUT ROWID;

CREATE INDEX task_runs_flow_run ON task_runs (flow_run_id, id);

CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    task_run_id TEXT,
    at REAL NOT NULL,
    level INTEGER NOT NULL,
    logger TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE INDEX logs_run ON logs (run_id, id);

CREATE TABLE leases (
    run_id TEXT PRIMARY KEY,
    attempt INTEGER NOT NULL,
    pool TEXT NOT NULL,
    queue TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    host_id TEXT NOT NULL,
    pool_from TEXT,
    queue_from TEXT,
    worker_from TEXT,
    slot_from TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_pool ON leases (pool);
CREATE INDEX leases_host ON leases (host_id);
CREATE INDEX leases_pool_from ON leases (pool_from) WHERE pool_from IS NOT NULL;
CREATE INDEX leases_queue_from ON leases (queue_from) WHERE queue_from IS NOT NULL;
CREATE INDEX leases_worker_from ON leases (worker_from) WHERE worker_from IS NOT NULL;
CREATE INDEX leases_slot_from ON leases (slot_from) WHERE slot_from IS NOT NULL;

CREATE TABLE waits (
    waiter TEXT NOT NULL,
    child TEXT NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (waiter, child)
) STRICT, WITHOUT ROWID;

CREATE INDEX waits_child ON waits (child);
CREATE INDEX waits_held ON waits (waiter) WHERE held = 1;

CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    full_name TEXT NOT NULL UNIQUE,
    pool TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX deployments_pool ON deployments (pool);

CREATE TABLE work_pools (
    name TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT;

CREATE TABLE work_queues (
    pool TEXT NOT NULL,
    name TEXT NOT NULL,
    priority INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (pool, name)
) STRICT;

CREATE TABLE hosts (
    id TEXT PRIMARY KEY,
    pool TEXT NOT NULL,
    dead INTEGER NOT NULL,
    lease_until REAL NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX hosts_living ON hosts (pool, id) WHERE dead = 0;

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    pool TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
