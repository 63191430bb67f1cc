-- Take or keep the lead of a loop, unless another server's lease of it holds.
INSERT INTO leaders (name, server_id, lease_until) VALUES (:name, :server, :until)
ON CONFLICT (name) DO UPDATE SET server_id = excluded.server_id, lease_until = excluded.lease_until
WHERE leaders.server_id = excluded.server_id OR leaders.lease_until < :now OR leaders.lease_until > :latest
