-- Let no window be over before a time.
UPDATE automation_windows SET due = :until WHERE due < :until
