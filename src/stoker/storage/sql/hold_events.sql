-- Before events are appended: say from which id on. SQLite has one writer, and need not know.
SELECT 1
