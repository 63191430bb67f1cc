-- Append one event.
INSERT INTO events (
    event, at, kind, resource, name, flow, deployment, pool, queue, run_id, tags, payload, depth
) VALUES (
    :event, :at, :kind, :resource, :name, :flow, :deployment, :pool, :queue, :run_id, :tags,
    :payload, :depth
)
