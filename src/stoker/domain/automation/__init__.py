"""Automations: what they look at, when they fire, and what they do then."""
