-- By how many seconds the clock has leapt, as far as that was followed.
SELECT leapt FROM clock WHERE id = 1
