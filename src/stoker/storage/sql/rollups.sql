-- The sums of some hours.
SELECT record FROM rollups WHERE hour >= ? AND hour <= ? ORDER BY hour, pool, deployment
