"""Imports a code's file the way that runs see it, and says what is wrong where that fails."""

import os
import socket
import sys
import traceback
from collections.abc import Callable
from types import ModuleType

from stoker.host.code import loader
from stoker.host.code.import_trace import ImportTrace
from stoker.host.code.installed import note_environment
from stoker.host.code.runners import Runner
from stoker.host.control import ImportFailed, Setup
from stoker.wire import pipe as wire

Code = Callable[[socket.socket], ModuleType]
"""Gives a child its code; called with the child's connection to the agent."""

TEXT_LIMIT = 32_000
"""Characters of a message or traceback at the most."""


def import_code(setup: Setup, runner: Runner, trace: ImportTrace | None = None) -> ModuleType:
    """Import a code's file in its working directory, and get its flows ready.

    Args:
        setup: Which file of which project.
        runner: Gets its flows ready.
        trace: Watches, where somebody wants to know.
    """
    loader.seek_in(setup.path, setup.file)
    loader.install(setup.path)
    note_environment()
    os.chdir(setup.working_dir or setup.path)
    if trace is None:
        module = loader.load(setup.path, setup.file)
    else:
        module = trace.watch(setup.file, lambda: loader.load(setup.path, setup.file))
    runner.prepare(module)
    return module


def import_in_child(setup: Setup, runner: Runner, link: socket.socket) -> ModuleType:
    """Import a code's file in a child of a bare zygote; where that fails, say so and end."""
    try:
        module = import_code(setup, runner)
        sys.stdout.flush()
        sys.stderr.flush()
        return module
    except BaseException as error:
        # A user's module may raise anything, SystemExit too.
        traceback.print_exc()
        tell_birth(link, describe(error, setup)[:TEXT_LIMIT])
        os._exit(1)


def tell_birth(link: socket.socket, error: str = "") -> None:
    """Tell the agent that a child has its code, or why it cannot have it."""
    body = wire.encode(error)
    link.sendall(wire.HEADER.pack(wire.KIND_BORN, len(body)) + body)


def failure(error: BaseException, setup: Setup) -> ImportFailed:
    """Describe a failed import for those who wait for it."""
    message, details = describe(error, setup), explain(error)
    return ImportFailed(message[:TEXT_LIMIT], details[-TEXT_LIMIT:])


def describe(error: BaseException, setup: Setup) -> str:
    """Say in one line why a code cannot be imported: the file, the line, the error."""
    path, line = os.path.join(setup.path, setup.file), None
    if not os.path.exists(path):
        return f"{setup.file} could not be imported: it is not there any more, in {setup.path}"
    if isinstance(error, SyntaxError) and error.filename:
        path, line, what = error.filename, error.lineno, f"{type(error).__name__}: {error.msg}"
    else:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        for frame in traceback.extract_tb(error.__traceback__):
            if os.path.abspath(frame.filename) in loader.read:
                path, line = frame.filename, frame.lineno
    where = os.path.relpath(path, setup.path) if path.startswith(setup.path) else path
    at = f", line {line}" if line else ""
    return f"{setup.file} could not be imported: {what} ({where}{at})"


def explain(error: BaseException) -> str:
    """Return the users' part of a failed import's traceback; empty where there is none to see."""
    from stoker.engine.tracebacks import in_user_code, user_traceback

    if isinstance(error, SyntaxError) or not in_user_code(error):
        return ""
    return user_traceback(error).rstrip()
