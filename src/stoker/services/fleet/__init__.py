"""Hosts and workers: ordered, registered, replaced, missed."""
