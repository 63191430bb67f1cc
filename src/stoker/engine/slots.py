"""Slots of concurrency limits, as running code takes them and gives them back."""

import os
import threading
import time
from collections.abc import Sequence

from stoker.domain.concurrency import LimitKind
from stoker.domain.requests import AcquireSlots, Slots
from stoker.engine.interrupts import shielded
from stoker.engine.pool import waiting_for_slots
from stoker.ports.backend import Backend

REMEMBERED = 5.0
"""Seconds for which a tag without a limit is taken for one without asking again."""


def request_id() -> str:
    """Return the id of a new request."""
    return os.urandom(16).hex()


class Claim:
    """Slots of limits, from the asking to the giving back; each is done once.

    Args:
        backend: Whom to ask.
        request: What for.
    """

    def __init__(self, backend: Backend, request: AcquireSlots) -> None:
        self.request = request
        self._backend = backend
        self._lock = threading.Lock()
        self._asked = False
        self._over = False

    def take(self) -> Slots:
        """Wait for the slots, for as long as the request says.

        Raises:
            StokerError: As the server says, or it cannot be asked.
        """
        self._asked = True
        try:
            slots = self._backend.ask(self.request)
        except BaseException:
            # It may have been heard all the same.
            self.give_back()
            raise
        if not slots.granted or not slots.limited:
            self._asked = False
        elif self._over:
            # Nobody waits any more: the caller was cancelled meanwhile, on an event loop.
            self._return()
        return slots

    @shielded
    def give_back(self) -> None:
        """Let go of the slots, or of the place among those that wait; costs no round trip."""
        with self._lock:
            if self._over or not self._asked:
                return
            self._over = True
        self._return()

    def _return(self) -> None:
        self._backend.give_back(self.request.id)


class _Unlimited:
    """Tags without a limit, each with the time until which that is believed."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def forget(self, tags: Sequence[str]) -> list[str]:
        """Return those of the tags that may have a limit."""
        now = time.monotonic()
        return [tag for tag in tags if self._until.get(tag, 0.0) < now]

    def remember(self, asked: Sequence[str], limited: Sequence[str]) -> None:
        """Note an answer."""
        until = time.monotonic() + REMEMBERED
        for tag in asked:
            if tag not in limited:
                self._until[tag] = until
            else:
                self._until.pop(tag, None)


_unlimited = _Unlimited()


def claim_of_tags(backend: Backend, tags: Sequence[str], label: str) -> Claim | None:
    """Return what takes the slots of a task run's tags; None where none has a limit.

    The server is asked for tags that may have one; which have none is remembered for a while.
    """
    asked = _unlimited.forget(tags)
    if not asked:
        return None
    request = AcquireSlots(id=request_id(), kind=LimitKind.TAG, names=asked, label=label)
    return Claim(backend, request)


def take_tags(claim: Claim) -> None:
    """Wait for the slots of a task run's tags."""
    slots = waited_for(claim)
    _unlimited.remember(claim.request.names, slots.limited)


def waited_for(claim: Claim) -> Slots:
    """Wait for slots; a thread of a task runner lends its place meanwhile."""
    with waiting_for_slots():
        return claim.take()
