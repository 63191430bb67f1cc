-- Forget what the outbox had done before some time.
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE ended IS NOT NULL AND ended < ? ORDER BY ended LIMIT ?
)
