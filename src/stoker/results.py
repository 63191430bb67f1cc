"""What a run returned, serialised: JSON where that loses nothing, else pickle.

Large ones lie in ``<home>/results``, named after their run.
"""

import os
import pickle
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from stoker.domain.errors import StokerError
from stoker.domain.states import ResultRecord

INLINE_LIMIT = 1024 * 1024
"""Bytes above which a result is kept in a file."""

NOTHING = ResultRecord("json", b"null")
"""What a run that returned None leaves."""

LOOK_LIMIT = 10_000
"""Parts of a value that are looked at to see whether it is small enough to be kept anyway."""

_ATOMS = frozenset({str, bool, type(None)})


class Unserialisable(StokerError):
    """A result cannot be serialised."""

    status = 422


class ErrorRecord(Struct, array_like=True):
    """An exception, serialised. Whoever only shows it need not unpickle it.

    Attributes:
        type: Its class.
        message: Its text.
        traceback: Its traceback, as Python prints it.
        pickled: The exception itself, where it can be pickled.
    """

    type: str
    message: str
    traceback: str
    pickled: bytes | None = None


def is_plain(value: Any, limit: int | None = None) -> bool:
    """Whether JSON gives back the same value.

    Args:
        value: The value.
        limit: Parts to look at; a larger value counts as not plain. None for all.

    Example:
        >>> is_plain({"a": [1, 2.5, None]}), is_plain((1, 2)), is_plain({1: "a"})
        (True, False, False)
    """
    todo = [value]
    seen = 0
    while todo:
        part = todo.pop()
        kind = cast(type[Any], type(part))
        seen += 1
        if limit is not None and seen > limit:
            return False
        if kind is list:
            todo.extend(part)
        elif kind is dict:
            for key, item in cast(dict[Any, Any], part).items():
                if type(key) is not str:
                    return False
                todo.append(item)
        elif kind is float:
            if not isfinite(part):
                return False
        elif kind is int:
            if not -(1 << 63) <= part < 1 << 64:
                return False
        elif kind not in _ATOMS:
            return False
    return True


def encode(value: Any, run_id: str) -> ResultRecord:
    """Serialise what a run returned; a large result is written to its file.

    Raises:
        Unserialisable: Neither JSON nor pickle takes it, or its file cannot be written; the
            message says what to do.
    """
    if value is None:
        return NOTHING
    data = _json(value) if is_plain(value) else None
    if data is not None:
        return _placed("json", data, run_id)
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception as error:
        raise Unserialisable(
            f"a {type(value).__qualname__} was returned that cannot be serialised "
            f"({type(error).__name__}: {error}); return what pickle takes, "
            "or set persist_result=False"
        ) from error
    return _placed("pickle", data, run_id)


def kept(
    value: Any, error: BaseException | None, run_id: str, persist: bool | None, *, local: bool
) -> ResultRecord | None:
    """Serialise how a run ended, as its flow's ``persist_result`` says.

    Args:
        value: What it returned.
        error: What ended it otherwise.
        run_id: The run.
        persist: The flow's ``persist_result``.
        local: Whether it ran in its caller's process, which has the value already.

    Raises:
        Unserialisable: The value cannot be kept.
    """
    if error is not None:
        return encode_error(error)
    if persist is False:
        return None
    if local and persist is None:
        return encode_small(value)
    return encode(value, run_id)


def encode_small(value: Any) -> ResultRecord | None:
    """Serialise a plain and small value; None for every other."""
    if value is None:
        return NOTHING
    if not is_plain(value, LOOK_LIMIT):
        return None
    data = _json(value)
    return None if data is None or len(data) > INLINE_LIMIT else ResultRecord("json", data)


def encode_error(error: BaseException) -> ResultRecord:
    """Serialise the exception that ended a run. Never fails."""
    from stoker.engine.tracebacks import user_traceback

    try:
        pickled = pickle.dumps(error, protocol=5)
        pickle.loads(pickled)
    except Exception:
        pickled = None
    try:
        message = str(error)
    except Exception:
        message = ""
    trace = user_traceback(error)
    record = ErrorRecord(type(error).__name__, message, trace, pickled)
    if pickled is not None and len(pickled) > INLINE_LIMIT // 2:
        record.pickled = None
    record.message = record.message[: INLINE_LIMIT // 8]
    record.traceback = record.traceback[-INLINE_LIMIT // 8 :]
    return ResultRecord("error", _clean(record))


def _clean(record: ErrorRecord) -> bytes:
    try:
        return msgspec.msgpack.encode(record)
    except UnicodeEncodeError:
        for name in ("type", "message", "traceback"):
            text: str = getattr(record, name)
            setattr(record, name, text.encode(errors="backslashreplace").decode())
        return msgspec.msgpack.encode(record)


def _json(value: Any) -> bytes | None:
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, RecursionError):
        return None


def _placed(format: str, data: bytes, run_id: str) -> ResultRecord:
    if len(data) <= INLINE_LIMIT:
        return ResultRecord(format, data)
    target = _folder() / run_id
    part = target.with_name(f"{run_id}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise Unserialisable(
            f"a result of {len(data)} bytes cannot be written to {target}: {error}"
        ) from error
    return ResultRecord(format, file=run_id)


def _folder() -> Path:
    from stoker.settings import load

    return load().home / "results"


def _read(record: ResultRecord) -> bytes:
    if not record.file:
        return record.data
    from stoker.states import MissingResult

    path = _folder() / os.path.basename(record.file)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingResult(f"the run's result cannot be read from {path}: {error}") from None


def decode(record: ResultRecord) -> Any:
    """Return what a run returned, or the exception that ended it.

    An exception whose class cannot be loaded here becomes a `FailedRun` with its text.

    Raises:
        MissingResult: It cannot be read here; the message says why.
    """
    from stoker.states import MissingResult

    data = _read(record)
    if record.format == "json":
        return msgspec.json.decode(data)
    if record.format == "error":
        return decode_error(record)
    try:
        return pickle.loads(data)
    except Exception as error:
        raise MissingResult(
            f"the run's result cannot be unpickled here ({type(error).__name__}: {error}); "
            "its classes must be importable under the same names"
        ) from error


def read_error(record: ResultRecord) -> ErrorRecord:
    """Return the readable part of an exception that ended a run; nothing is unpickled."""
    return msgspec.msgpack.decode(record.data, type=ErrorRecord)


def decode_error(record: ResultRecord) -> BaseException:
    """Return the exception that ended a run."""
    from stoker.states import FailedRun

    known = read_error(record)
    if known.pickled is not None:
        try:
            error = pickle.loads(known.pickled)
        except Exception:
            error = None
        if isinstance(error, BaseException):
            error.add_note("In the run:\n" + known.traceback.rstrip())
            return error
    return FailedRun(f"{known.type}: {known.message}\nIn the run:\n{known.traceback.rstrip()}")
