"""Ending gracefully when the process that started this one is gone."""

import os
import signal
import threading
from typing import Any

import click

from stoker.supervision.programs import HELD


def _hold_on(_: click.Context, __: click.Parameter, wanted: bool) -> None:
    if wanted:
        # Those who are started from here do not hold what this process holds.
        for fd in filter(None, os.environ.pop(HELD, "").split(",")):
            os.set_inheritable(int(fd), False)
        threading.Thread(target=_wait_for_end, name="lifeline", daemon=True).start()


def _wait_for_end() -> None:
    """Send this process one SIGTERM at the end of its standard input.

    The kernel's own parent-death signal will not do: it comes once for every thread that the
    parent had, and a second SIGTERM means "at once" (prctl(2), PR_SET_PDEATHSIG).
    """
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def with_parent(command: Any) -> Any:
    """The hidden option by which ``stoker up`` ties its children to itself.

    Their standard input is a pipe that only ``stoker up`` holds open, and for the server its
    worker, which has something to tell it to the last.
    """
    option = click.option(
        "--with-parent", is_flag=True, hidden=True, expose_value=False, callback=_hold_on
    )
    return option(command)
