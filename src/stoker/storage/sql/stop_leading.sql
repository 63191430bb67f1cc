-- Give back all that a server leads.
DELETE FROM leaders WHERE server_id = ?
