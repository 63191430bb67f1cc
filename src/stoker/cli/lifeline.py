"""Ending gracefully when the process that started this one is gone."""

import os
import signal
import sys
from typing import Any

import click

PR_SET_PDEATHSIG = 1


def _hold_on(_: click.Context, __: click.Parameter, parent: int | None) -> None:
    """Have the kernel send SIGTERM to this process when its parent ends (prctl(2)).

    The parent may be gone before this is asked for: then it never was this one.
    """
    if parent is None:
        return
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise click.ClickException(f"process {parent}, which started this one, is gone")


def with_parent(command: Any) -> Any:
    """The hidden option by which `stoker up` ties its children to itself."""
    option = click.option(
        "--with-parent", type=int, hidden=True, expose_value=False, callback=_hold_on
    )
    return option(command)
