-- All work pools.
SELECT record FROM work_pools ORDER BY name
