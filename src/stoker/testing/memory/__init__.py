"""A store in memory: the rules of `stoker.ports.store` in plain Python, for tests."""

from stoker.testing.memory.store import MemoryStore

__all__ = ["MemoryStore"]
