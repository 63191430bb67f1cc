-- Queued runs by what a claim takes or skips as one; the limits of deployments; kinds of waits.
CREATE TABLE claim_groups (
    pool TEXT NOT NULL,
    lane TEXT NOT NULL,
    queue TEXT NOT NULL,
    deployment_id TEXT NOT NULL,
    due REAL NOT NULL,
    head TEXT NOT NULL,
    blocked INTEGER NOT NULL DEFAULT 0,
    inserts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pool, lane, queue, deployment_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_groups_open ON claim_groups (pool, lane, queue, due, head) WHERE blocked = 0;
CREATE INDEX claim_groups_blocked ON claim_groups (deployment_id) WHERE blocked = 1;

INSERT INTO claim_groups (pool, lane, queue, deployment_id, due, head)
SELECT pool, lane, queue, coalesce(deployment_id, ''), min(due), ''
FROM flow_runs WHERE queued = 1 GROUP BY pool, lane, queue, coalesce(deployment_id, '');

DROP INDEX flow_runs_queued;
CREATE INDEX flow_runs_queued ON flow_runs (pool, queue, lane, deployment_id, due, id)
WHERE queued = 1;

ALTER TABLE deployments ADD COLUMN concurrency_limit INTEGER;

ALTER TABLE leases ADD COLUMN deployment_from TEXT;
CREATE INDEX leases_deployment ON leases (deployment_id) WHERE deployment_from IS NULL;
CREATE INDEX leases_deployment_from ON leases (deployment_from)
WHERE deployment_from IS NOT NULL;

ALTER TABLE waits ADD COLUMN kind TEXT NOT NULL DEFAULT '';
CREATE INDEX waits_kind ON waits (waiter, kind, child);
