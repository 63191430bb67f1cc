"""Automations: kept, fired by events, and done."""
