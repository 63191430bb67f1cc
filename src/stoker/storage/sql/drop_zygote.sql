-- Forget a zygote of a host.
DELETE FROM zygotes WHERE host_id = ? AND key = ?
