-- Limits that running code takes slots of, and who waits for them or has them.
CREATE TABLE limits (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    slots INTEGER NOT NULL,
    decay REAL NOT NULL,
    active INTEGER NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;

CREATE TABLE limit_leases (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    slots INTEGER NOT NULL,
    place INTEGER NOT NULL,
    asked REAL NOT NULL,
    acquired REAL,
    decays INTEGER NOT NULL,
    drains_from REAL,
    drained REAL,
    run_id TEXT,
    attempt INTEGER NOT NULL,
    host_id TEXT,
    label TEXT NOT NULL,
    PRIMARY KEY (id, name)
) STRICT;

CREATE INDEX limit_leases_limit ON limit_leases (kind, name, drained);
CREATE INDEX limit_leases_place ON limit_leases (place);
CREATE INDEX limit_leases_run ON limit_leases (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX limit_leases_script ON limit_leases (host_id) WHERE host_id IS NOT NULL;
CREATE INDEX limit_leases_waiting ON limit_leases (kind, name) WHERE acquired IS NULL;
CREATE INDEX limit_leases_drained ON limit_leases (drained) WHERE drained IS NOT NULL;
