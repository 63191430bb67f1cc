"""The agent of a host: what it has, what it gives to children, what it tells the server."""
