-- The limits that those who wait for one want besides.
SELECT DISTINCT other.name FROM limit_leases AS mine
JOIN limit_leases AS other ON other.id = mine.id
WHERE mine.kind = ? AND mine.name = ? AND mine.acquired IS NULL
