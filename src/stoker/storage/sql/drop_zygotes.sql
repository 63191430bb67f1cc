-- Forget all zygotes of a host.
DELETE FROM zygotes WHERE host_id = ?
