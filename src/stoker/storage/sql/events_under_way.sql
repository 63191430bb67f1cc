-- From which ids on transactions that are under way may append events: none in SQLite.
SELECT 1 WHERE 1 = 0
