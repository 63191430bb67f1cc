"""How server, worker and hosts write their logs: as text, or each line as a JSON object."""

import json
import logging
import time
from typing import Any

TEXT = "%(asctime)s | %(levelname)-8s | %(name)s | %(message)s"

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has; all else was given as ``extra``."""


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, ``pid``.

    An exception is in ``error``, with its traceback; what was given as ``extra`` is there by name.

    Example:
        >>> record = logging.makeLogRecord({"name": "stoker", "msg": "up", "levelno": 20})
        >>> json.loads(JsonLines().format(record))["message"]
        'up'
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        fields: dict[str, Any] = {
            "time": _stamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            "pid": record.process,
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        return json.dumps(fields, default=str, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        # A line with wrong arguments is better than none.
        return f"{record.msg!r} could not be formatted with {record.args!r}: {error}"


def _stamp(at: float) -> str:
    """A moment in UTC, as RFC 3339 has it, to the millisecond."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at * 1000) % 1000:03d}Z"


def formatter(log_format: str, text: str = TEXT) -> logging.Formatter:
    """Return what writes lines of a format, ``"text"`` or ``"json"``."""
    return JsonLines() if log_format == "json" else logging.Formatter(text)
