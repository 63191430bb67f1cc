-- Events, automations on them, and the outbox of what these have to do.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    event TEXT NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    name TEXT NOT NULL,
    flow TEXT,
    deployment TEXT,
    pool TEXT,
    queue TEXT,
    run_id TEXT,
    tags TEXT NOT NULL,
    payload TEXT NOT NULL,
    depth INTEGER NOT NULL
) STRICT;

CREATE INDEX events_resource ON events (resource, id);

CREATE TABLE automations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL
) STRICT;

CREATE TABLE automation_windows (
    automation_id TEXT NOT NULL,
    key TEXT NOT NULL,
    due REAL,
    record TEXT NOT NULL,
    PRIMARY KEY (automation_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX automation_windows_due ON automation_windows (due) WHERE due IS NOT NULL;

CREATE TABLE event_readers (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    automation_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    due REAL NOT NULL,
    claimed_until REAL NOT NULL,
    run_id TEXT,
    depth INTEGER NOT NULL,
    ended REAL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX outbox_pending ON outbox (due) WHERE state = 'pending';
CREATE INDEX outbox_automation ON outbox (automation_id, at);
CREATE INDEX outbox_run ON outbox (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX outbox_ended ON outbox (ended) WHERE ended IS NOT NULL;
