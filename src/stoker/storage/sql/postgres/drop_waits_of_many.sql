-- Runs that are over wait for nothing.
DELETE FROM waits WHERE waiter IN (
    SELECT r.run FROM json_to_recordset(CAST(CAST(:rows AS text) AS json)) AS r (run text)
)
