-- The database's time, seconds since the epoch.
SELECT (julianday('now') - 2440587.5) * 86400.0
