-- Before events are appended: say from which id on, until the end of the transaction.
-- A lock of two numbers, which no named lock is; it is shared, and so never waits.
SELECT pg_advisory_xact_lock_shared(
    5354, CAST((CASE WHEN is_called THEN last_value ELSE last_value - 1 END) & 2147483647 AS int)
)
FROM events_id_seq
