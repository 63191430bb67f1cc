-- Forget how launches went in a pool.
DELETE FROM launches WHERE pool = ?
