"""Stores: the SQL files, and what runs them."""
