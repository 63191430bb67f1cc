-- Which of some runs wait for others, or have lent them something.
SELECT value FROM json_each(?) AS ids
WHERE EXISTS (SELECT 1 FROM waits WHERE waiter = ids.value)
   OR EXISTS (SELECT 1 FROM leases WHERE pool_from = ids.value)
   OR EXISTS (SELECT 1 FROM leases WHERE queue_from = ids.value)
   OR EXISTS (SELECT 1 FROM leases WHERE worker_from = ids.value)
   OR EXISTS (SELECT 1 FROM leases WHERE slot_from = ids.value)
   OR EXISTS (SELECT 1 FROM leases WHERE deployment_from = ids.value)
