"""The logs of hosts that are over: the newest ones stay."""

import contextlib
from pathlib import Path

from stoker.host.agent.spool import spool_path

KEPT = 20
"""How many stay in a home."""


def remove_old_logs(home: Path) -> None:
    """Remove the oldest logs of hosts that are over.

    A living host has its spool open; nothing else on disk tells.
    """
    found: list[tuple[float, Path]] = []
    for log in (home / "logs").glob("host-*.log"):
        host_id = log.stem.removeprefix("host-")
        # Another worker of this home may do the same at this time.
        with contextlib.suppress(OSError):
            if not spool_path(home, host_id).exists():
                found.append((log.stat().st_mtime, log))
    for _, log in sorted(found)[:-KEPT]:
        with contextlib.suppress(OSError):
            log.unlink()
