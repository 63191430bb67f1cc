"""The life of runs: accepted, reported, paused, ended, and run again."""
