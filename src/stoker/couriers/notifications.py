"""Notifications through Apprise: Slack, email, PagerDuty and some hundred others."""

import asyncio
import logging
from importlib.util import find_spec
from typing import Any

from stoker.domain.automation.actions import SendNotification, without_secrets
from stoker.ports.courier import Undelivered

AT_ONCE = 4
"""Messages on their way at the same time; each holds a thread."""


async def notify(action: SendNotification, subject: str, body: str) -> str:
    """Send a message to all addresses of an action.

    Raises:
        Undelivered: One of them did not take it, or not in time, or Apprise is not installed.
    """
    if find_spec("apprise") is None:
        raise Undelivered(
            "notifications need the extra: pip install 'stoker[notifications]' where the server "
            "runs",
            for_good=True,
        )
    try:
        async with asyncio.timeout(action.timeout):
            failed = await asyncio.to_thread(_send, action, subject, body)
    except TimeoutError:
        raise Undelivered(f"not sent within {action.timeout:g} s") from None
    if failed:
        raise Undelivered(without_secrets("; ".join(failed), action))
    return f"sent to {len(action.urls)}"


def _send(action: SendNotification, subject: str, body: str) -> list[str]:
    """Send it; return what went wrong."""
    # Loaded at the first use: it takes some 0.2 s, and 20 MB.
    import apprise

    # Without plugins from the disk, and with URLs kept out of its log.
    asset: Any = apprise.AppriseAsset(app_id="Stoker", secure_logging=True, plugin_paths=[])
    failed: list[str] = []
    for url in action.urls:
        scheme = url.partition("://")[0]
        target: Any = apprise.Apprise(asset=asset)
        if not target.add(url):
            failed.append(f"{scheme}: Apprise does not know such an address")
            continue
        with _Said() as said:
            taken = target.notify(title=subject, body=body)
        if not taken:
            failed.append(f"{scheme}: {said.last or 'not taken'}")
    return failed


class _Said(logging.Handler):
    """What Apprise's log says meanwhile in this thread: it returns no reason."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        import threading

        if record.thread == threading.get_ident():
            self.last = record.getMessage()

    def __enter__(self) -> "_Said":
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
