-- Store the next version of a schedule, unless somebody else has changed or deleted it meanwhile.
UPDATE schedules SET slug = :slug, version = :version, next = :next, record = :record
WHERE id = :id AND version = :version - 1
