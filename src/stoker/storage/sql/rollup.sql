-- The sums of one hour, pool and deployment.
SELECT record FROM rollups WHERE hour = ? AND pool = ? AND deployment = ?
