"""Tracebacks for users: their own frames, without ours around and between them."""

import importlib
import os
import traceback

_OURS = (
    os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep,
    importlib.__file__,
    "<frozen importlib",
)
"""How the files begin whose frames tell a user nothing."""


def user_traceback(error: BaseException) -> str:
    """Return an exception's traceback as Python prints it, without the engine's frames.

    Of an exception that has no others, what it says is all that there is to know.
    """
    try:
        known = traceback.TracebackException.from_exception(error)
        _strip(known, set())
        if not in_user_code(error):
            return "".join(known.format_exception_only())
        return "".join(known.format())
    except Exception as problem:
        return f"{type(error).__name__} (its traceback cannot be printed: {problem!r})"


def in_user_code(error: BaseException) -> bool:
    """Whether it was raised in, or passed through, code that is not Stoker's."""
    trace = error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_OURS):
            return True
        trace = trace.tb_next
    return False


def _strip(known: traceback.TracebackException | None, seen: set[int]) -> None:
    if known is None or id(known) in seen:
        return
    seen.add(id(known))
    frames = [frame for frame in known.stack if not frame.filename.startswith(_OURS)]
    # A cause that is ours alone keeps its frames: without any it could not be found.
    if frames:
        known.stack = traceback.StackSummary.from_list(frames)
    _strip(known.__cause__, seen)
    _strip(known.__context__, seen)
