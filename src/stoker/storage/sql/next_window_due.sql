-- When the next window is over.
SELECT min(due) FROM automation_windows WHERE due IS NOT NULL
