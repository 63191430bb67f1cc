-- Waits that are over and whose waiter has not got back what it lent.
SELECT waiter, child FROM waits WHERE held = 1 ORDER BY waiter
