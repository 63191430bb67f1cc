-- Register a server, or renew its lease.
INSERT INTO servers (id, address, version, started, lease_until) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
