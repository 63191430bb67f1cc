-- Up to which event a reader has read.
SELECT position FROM event_readers WHERE name = ?
