"""The signal by which a host has a run's process end whose run is to be suspended."""

import signal

SUSPEND_SIGNAL: int = signal.SIGRTMIN + 5
"""A real-time signal, since users' code has uses for the others."""
