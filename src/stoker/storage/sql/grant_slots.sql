-- A request that still waits gets its slots of one limit.
UPDATE limit_leases SET acquired = :acquired, drains_from = :start, drained = :end
WHERE id = :id AND name = :name AND acquired IS NULL
