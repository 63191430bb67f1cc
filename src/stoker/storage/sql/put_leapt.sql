-- The clock was followed up to here.
INSERT INTO clock (id, leapt) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET leapt = excluded.leapt
