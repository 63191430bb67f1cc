-- Store the sums of one hour, pool and deployment.
INSERT INTO rollups (hour, pool, deployment, record) VALUES (?, ?, ?, ?)
ON CONFLICT (hour, pool, deployment) DO UPDATE SET record = excluded.record
