-- The last transaction of each writer, by which is found out whether a commit that was cut off is
-- there: it holds the mark, and whoever asks waits for its row where it is under way. Of ids of
-- transactions a crash may give some again.
CREATE TABLE commit_marks (
    writer INTEGER PRIMARY KEY,
    mark INTEGER NOT NULL,
    written timestamptz NOT NULL
) WITH (fillfactor = 50);
