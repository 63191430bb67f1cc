"""A worker: keeps the hosts that the server ordered, and proves the death of those that end."""
