-- Append events, in their order.
INSERT INTO events (
    event, at, kind, resource, name, flow, deployment, pool, queue, run_id, tags, payload, depth
)
SELECT
    r.event, r.at, r.kind, r.resource, r.name, r.flow, r.deployment, r.pool, r.queue, r.run_id,
    r.tags, r.payload, r.depth
FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (
    event text, at double precision, kind text, resource text, name text, flow text,
    deployment text, pool text, queue text, run_id text, tags text, payload text, depth bigint
)
