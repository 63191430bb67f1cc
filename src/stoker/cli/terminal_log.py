"""Logs of server and worker on the terminal."""

import logging


def log_to_terminal(level: str) -> None:
    """Write log lines from ``level`` up to standard error.

    The HTTP server names every connection at INFO; that is shown only with DEBUG.
    """
    logging.basicConfig(
        level=level, format="%(asctime)s | %(levelname)-8s | %(name)s | %(message)s"
    )
    if level != "DEBUG":
        for handler in logging.getLogger().handlers:
            handler.addFilter(_matters)


def _matters(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.name.startswith("uvicorn")
