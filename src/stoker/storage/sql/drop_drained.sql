-- Forget slots that are back, once nobody asks any more whether they were granted.
DELETE FROM limit_leases WHERE drained < ?
