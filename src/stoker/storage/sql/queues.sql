-- A pool's queues, those that go first first.
SELECT record FROM work_queues WHERE pool = ? ORDER BY priority, name
