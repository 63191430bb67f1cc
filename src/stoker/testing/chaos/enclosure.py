"""Namespaces of its own for the harness: what it starts dies with it, whatever happens.

Its init dies with the program that was called (`unshare --kill-child`), and with the init dies
everything (see pid_namespaces(7)). Mounts go with the namespace, too.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from stoker.domain.errors import Unavailable

INSIDE = "STOKER_CHAOS_INSIDE"
"""Environment variable that says that this process is in them already."""

UNSHARE = ["unshare", "--pid", "--mount", "--fork", "--kill-child=SIGKILL", "--mount-proc"]


def enclose(arguments: Sequence[str]) -> NoReturn:
    """Become the harness in namespaces of its own.

    Args:
        arguments: Its command line.

    Raises:
        Unavailable: This user or system allows no namespaces.
    """
    unshare = UNSHARE if os.geteuid() == 0 else [*UNSHARE, "--user", "--map-root-user"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        raise Unavailable(
            "the harness starts all in namespaces of its own, so that nothing outlives it, and "
            f"this system allows none: {reason.strip()}"
        ) from None
    program = [sys.executable, "-m", "stoker.testing.chaos.enclosure", *arguments]
    os.execvpe(unshare[0], [*unshare, *program], {**os.environ, INSIDE: "1"})


def leave(number: int, _: object) -> None:
    """End the first process of the namespace, and with it everything."""
    os._exit(128 + number)


def init(arguments: Sequence[str]) -> int:
    """Be the first process of the namespace: reap what is orphaned, and end with the harness."""
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    harness = subprocess.Popen([sys.executable, "-m", "stoker.testing.chaos", *arguments])
    while True:
        pid, status = os.wait()
        if pid == harness.pid:
            harness.returncode = os.waitstatus_to_exitcode(status)
            return harness.returncode


if __name__ == "__main__":
    sys.exit(init(sys.argv[1:]) & 0xFF)
