"""Launchers: one module per kind of infrastructure."""
