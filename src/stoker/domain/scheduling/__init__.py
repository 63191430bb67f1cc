"""When schedules fire: cron, intervals, recurrence rules, across changes of the clocks."""
