"""Ending user code from outside: by SIGTERM (cancelled), by a signal of our own (suspended), and
by SIGALRM (its time is over).

A signal's handler runs in the main thread, between any two instructions of it. It must raise
inside the user's code, not while a report is half written: functions marked `shielded` are left
alone, and what interrupted them is raised once they have returned.
"""

import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from types import CodeType, FrameType
from typing import Any, ParamSpec, TypeVar

from stoker.domain.reports import Report
from stoker.ports.backend import Backend
from stoker.suspend_signal import SUSPEND_SIGNAL

P = ParamSpec("P")
R = TypeVar("R")


ENDING = (signal.SIGTERM, SUSPEND_SIGNAL)
"""Signals that end a run."""

RING_AGAIN = 0.1
"""Seconds after which a time limit's signal is sent again, until its handler has run: one that
comes right before a blocking system call is noticed only after it."""


class RunCancelled(BaseException):
    """Raised inside a run that is being cancelled.

    No ``Exception``, so that ``except Exception`` does not keep a run from ending. Code that
    must clean up does so in ``finally``.
    """


class RunSuspended(BaseException):
    """Raised inside a run that is being suspended: its process ends, and it begins again later.

    As with `RunCancelled`, code that must clean up does so in ``finally``.
    """


class RunTimeout(TimeoutError):
    """A flow or task ran longer than its ``timeout_seconds``.

    Attributes:
        what: The run whose time was over; one around it may raise the error on.
    """

    what = ""

    @classmethod
    def of(cls, what: str, text: str) -> "RunTimeout":
        """Make the error of one run."""
        error = cls(f"{what} {text}")
        error.what = what
        return error


_shielded: set[CodeType] = set()
_waiting: list[BaseException] = []


def shielded(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function one that no interrupt breaks off: it is raised once it has returned."""
    _shielded.add(function.__code__)

    @wraps(function)
    def whole(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        finally:
            # Here, where the shield has ended already: what comes from now on raises by itself.
            if _waiting and in_main_thread():
                raise _waiting.pop()

    return whole


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


@contextmanager
def cancelled_by_sigterm() -> Generator[None]:
    """Raise `RunCancelled` in the block when the process gets SIGTERM (main thread only).

    Where it gets the `SUSPEND_SIGNAL`, that is `RunSuspended`.

    Once: further signals leave the code alone that cleans up. Sending it again is sensible, since
    one that comes right before a blocking system call is noticed only after it.
    """
    if not in_main_thread():
        yield
        return
    over = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal over
        if not over:
            over = True
            suspended = number == SUSPEND_SIGNAL
            interrupt(RunSuspended("suspended") if suspended else RunCancelled("cancelled"), frame)

    before = {number: signal.signal(number, on_signal) for number in ENDING}
    try:
        yield
    finally:
        over = True
        _waiting.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def call_within(
    seconds: float, what: str, function: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Call a function, and end it by `RunTimeout` after some seconds.

    One that swallows the error and returns all the same has run out of time nevertheless.

    In another thread than the main one nothing can end it: the overrun is logged when it
    happens, and `RunTimeout` is raised when the function returns.
    """
    if not in_main_thread():
        return _call_watched(seconds, what, function, args, kwargs)
    over = fired = False
    error = RunTimeout.of(what, f"ran longer than {seconds:g} s")

    def on_signal(_number: int, frame: FrameType | None) -> None:
        nonlocal over, fired
        if not over:
            over = fired = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            interrupt(error, frame)

    handler = signal.signal(signal.SIGALRM, on_signal) or signal.SIG_DFL
    begun = time.monotonic()
    outer, interval = signal.setitimer(signal.ITIMER_REAL, seconds, RING_AGAIN)
    try:
        try:
            if 0 < outer <= seconds:
                # The time of what is around it is over first, and ends both.
                signal.signal(signal.SIGALRM, handler)
                signal.setitimer(signal.ITIMER_REAL, outer, interval)
            value = function(*args, **kwargs)
        finally:
            over = True
        if fired:
            # It was ended, and swallowed that.
            raise error
        return value
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if error in _waiting:
            _waiting.remove(error)
        signal.signal(signal.SIGALRM, handler)
        if outer:
            left = outer - (time.monotonic() - begun)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6), interval)


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
        raise RunTimeout.of(what, f"ran {took:.3g} s, longer than {seconds:g} s")
    return value
