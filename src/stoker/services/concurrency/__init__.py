"""Concurrency limits that running code takes slots of."""
