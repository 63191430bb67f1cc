"""Logs of server and worker on the terminal."""

import logging


def log_to_terminal(level: str) -> None:
    """Write log lines from ``level`` up to standard error."""
    logging.basicConfig(
        level=level, format="%(asctime)s | %(levelname)-8s | %(name)s | %(message)s"
    )
