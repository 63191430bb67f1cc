"""The store of several servers: a Postgres database."""
