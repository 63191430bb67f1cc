-- How far the database's clock has leapt, as the server that leads has followed it.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    leapt REAL NOT NULL
) STRICT;
