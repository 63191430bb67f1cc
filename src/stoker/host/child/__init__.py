"""A run's own process: how it gets ready, what confines it, how it speaks."""
