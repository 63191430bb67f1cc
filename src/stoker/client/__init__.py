"""Callers of the API."""
