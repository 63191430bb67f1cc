"""Logs of server and worker on the terminal."""

import logging

from stoker.log_lines import formatter


def log_to_terminal(level: str, log_format: str) -> None:
    """Write log lines from ``level`` up to standard error.

    The HTTP server names every connection at INFO; that is shown only with DEBUG.
    """
    logging.basicConfig(level=level)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter(log_format))
        if level != "DEBUG":
            handler.addFilter(_matters)


def _matters(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.name.startswith("uvicorn")
