-- Several servers of one store: who there is, who leads which loop, and what all have to know.
CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    started REAL NOT NULL,
    lease_until REAL NOT NULL
) STRICT;

CREATE TABLE leaders (
    name TEXT PRIMARY KEY,
    server_id TEXT NOT NULL,
    lease_until REAL NOT NULL
) STRICT;

CREATE TABLE launches (
    pool TEXT NOT NULL,
    lane TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (pool, lane)
) STRICT;

CREATE TABLE zygotes (
    host_id TEXT NOT NULL,
    key TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (host_id, key)
) STRICT;
