"""Many rows of values as one JSON text, for queries that read them with ``json_to_recordset``."""

from collections.abc import Sequence

import msgspec

from stoker.storage.postgres.connecting import NUL, STORED_NUL
from stoker.storage.records.statements import Values

_encode = msgspec.json.Encoder().encode


def rows_text(rows: Sequence[Values]) -> str:
    """Encode rows; bytes as base64, characters that Postgres has not as they are stored.

    Example:
        >>> rows_text([{"a": 1, "b": b"x"}])
        '[{"a":1,"b":"eA=="}]'
    """
    text = _encode(rows).decode()
    if "\\u0000" in text:
        text = _encode([_stored(row) for row in rows]).decode()
    return text


def _stored(row: Values) -> Values:
    assert isinstance(row, dict)
    return {
        name: value.replace(NUL, STORED_NUL) if isinstance(value, str) else value
        for name, value in row.items()
    }
