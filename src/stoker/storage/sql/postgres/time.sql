-- The database's time, seconds since the epoch; that of the statement, not of its transaction.
SELECT extract(epoch FROM clock_timestamp())::double precision
