"""Ending user code from outside: by SIGTERM (cancelled) and by SIGALRM (its time is over).

A signal's handler runs in the main thread, between any two instructions of it. It must raise
inside the user's code, not while a report is half written: functions marked `shielded` are left
alone, and raise themselves once they are done.
"""

import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, TypeVar

from stoker.domain.reports import Report
from stoker.ports.backend import Backend

F = TypeVar("F", bound=Callable[..., Any])


class RunCancelled(BaseException):
    """Raised inside a run that is being cancelled.

    No ``Exception``, so that ``except Exception`` does not keep a run from ending. Code that
    must clean up does so in ``finally``.
    """


class RunTimeout(TimeoutError):
    """A flow or task ran longer than its ``timeout_seconds``."""


_shielded: set[CodeType] = set()
_waiting: list[BaseException] = []


def shielded(function: F) -> F:
    """Mark a function that no interrupt may break off."""
    _shielded.add(function.__code__)
    return function


def in_main_thread() -> bool:
    """Whether signals can reach the present code."""
    return threading.current_thread() is threading.main_thread()


def interrupt(error: BaseException, frame: FrameType | None) -> None:
    """Raise ``error`` in the interrupted code, or soon where that is shielded now."""
    while frame is not None:
        if frame.f_code in _shielded:
            _waiting.append(error)
            return
        frame = frame.f_back
    raise error


@shielded
def deliver(backend: Backend, run_id: str, *reports: Report) -> None:
    """Report, whole: an interrupt that comes meanwhile is raised afterwards."""
    backend.report(run_id, *reports)
    if _waiting and in_main_thread():
        raise _waiting.pop()


@contextmanager
def cancelled_by_sigterm() -> Generator[None]:
    """Raise `RunCancelled` in the block when the process gets SIGTERM (main thread only)."""
    if not in_main_thread():
        yield
        return
    over = False

    def on_signal(_number: int, frame: FrameType | None) -> None:
        if not over:
            interrupt(RunCancelled("cancelled"), frame)

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        over = True
        _waiting.clear()
        signal.signal(signal.SIGTERM, before)


def call_within(
    seconds: float, what: str, function: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Call a function, and end it by `RunTimeout` after some seconds.

    In another thread than the main one nothing can end it: the overrun is logged when it
    happens, and `RunTimeout` is raised when the function returns.
    """
    if not in_main_thread():
        return _call_watched(seconds, what, function, args, kwargs)
    over = False
    error = RunTimeout(f"{what} ran longer than {seconds:g} s")

    def on_signal(_number: int, frame: FrameType | None) -> None:
        if not over:
            interrupt(error, frame)

    handler = signal.signal(signal.SIGALRM, on_signal) or signal.SIG_DFL
    begun = time.monotonic()
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        try:
            if 0 < outer <= seconds:
                # The time of what is around it is over first, and ends both.
                signal.signal(signal.SIGALRM, handler)
                signal.setitimer(signal.ITIMER_REAL, outer)
            return function(*args, **kwargs)
        finally:
            over = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if error in _waiting:
            _waiting.remove(error)
        signal.signal(signal.SIGALRM, handler)
        if outer:
            left = outer - (time.monotonic() - begun)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))


def _call_watched(
    seconds: float, what: str, function: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    from contextvars import copy_context

    from stoker.logging import get_run_logger

    def warn() -> None:
        get_run_logger().warning(
            "%s has run longer than %g s; in a thread it cannot be ended, "
            "its result will be dropped",
            what,
            seconds,
        )

    watch = threading.Timer(seconds, copy_context().run, (warn,))
    watch.daemon = True
    begun = time.monotonic()
    watch.start()
    try:
        value = function(*args, **kwargs)
    finally:
        watch.cancel()
    took = time.monotonic() - begun
    if took > seconds:
        raise RunTimeout(f"{what} ran {took:.3g} s, longer than {seconds:g} s")
    return value
