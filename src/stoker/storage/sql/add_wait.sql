-- A run waits for another; of one kind are those that lack the same where one of them lacks it.
INSERT INTO waits (waiter, child, kind) VALUES (:waiter, :child, coalesce((
    SELECT queue || '/' || lane || '/' || coalesce(deployment_id, '')
    FROM flow_runs WHERE id = :child
), ''))
ON CONFLICT DO NOTHING
