-- The last id that was given to an event, committed or not.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_id_seq
