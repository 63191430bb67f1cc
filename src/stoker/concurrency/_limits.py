"""Taking slots of named limits, in flows, tasks and scripts."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from stoker.domain.concurrency import LimitKind
from stoker.domain.errors import NotFound
from stoker.domain.requests import AcquireSlots
from stoker.engine import backends
from stoker.engine.context import CURRENT
from stoker.engine.slots import Claim, request_id, waited_for


class ConcurrencySlotAcquisitionError(Exception):
    """A limit of the name does not exist, and ``strict`` asked for it."""


class AcquireConcurrencySlotTimeoutError(TimeoutError):
    """The slots were not to be had within ``timeout_seconds``."""


class Occupation:
    """Holds slots while a block runs, with ``with`` or ``async with``; see `concurrency`."""

    def __init__(self, wish: "_Wish") -> None:
        self._wish = wish
        self._claims: list[Claim] = []

    def __enter__(self) -> Self:
        claim = self._wish.claim()
        self._wish.take(claim)
        self._claims.append(claim)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._claims.pop().give_back()

    async def __aenter__(self) -> Self:
        claim = self._wish.claim()
        await self._wish.take_async(claim)
        self._claims.append(claim)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._claims.pop().give_back()


def concurrency(
    names: str | Iterable[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> Occupation:
    """Hold slots of limits while a block runs.

    It waits until all of them are free; first come, first served. They come back at the end of
    the block, and where its process dies. For ``with`` and ``async with``.

    Args:
        names: One limit's name, or several; of several all slots are taken at once.
        occupy: Slots of each.
        timeout_seconds: Seconds to wait at most; None for ever.
        strict: Whether a name without a limit is an error; otherwise it limits nothing.

    Raises:
        AcquireConcurrencySlotTimeoutError: The time is over.
        ConcurrencySlotAcquisitionError: ``strict``, and there is no such limit.
        ValueError: ``occupy`` or ``timeout_seconds`` is impossible.
        Invalid: A limit has fewer slots than are asked for.
        Unavailable: There is no server to ask.

    Example:
        ```python
        with concurrency("database", occupy=2, timeout_seconds=60):
            load(rows)
        ```
    """
    return Occupation(_Wish(names, occupy, timeout_seconds, strict, decays=False))


def rate_limit(
    names: str | Iterable[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Take slots of limits that come back by themselves, at ``slot_decay_per_second``.

    It waits until they are free, and returns; for the arguments and errors see `concurrency`.

    Raises:
        Invalid: A limit has no slot decay, so that its slots would never come back.

    Example:
        ```python
        for page in pages:
            rate_limit("api")
            fetch(page)
        ```
    """
    wish = _Wish(names, occupy, timeout_seconds, strict, decays=True)
    wish.take(wish.claim())


async def arate_limit(
    names: str | Iterable[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Do as `rate_limit`, without blocking the event loop."""
    wish = _Wish(names, occupy, timeout_seconds, strict, decays=True)
    await wish.take_async(wish.claim())


class _Wish:
    """What a caller asks for, checked."""

    def __init__(
        self,
        names: str | Iterable[str],
        occupy: int,
        timeout_seconds: float | None,
        strict: bool,
        *,
        decays: bool,
    ) -> None:
        listed = [names] if isinstance(names, str) else list(names)
        self.names = list(dict.fromkeys(listed))
        if occupy < 1 or occupy != int(occupy):
            raise ValueError(f"occupy must be a whole number of slots, 1 or more, not {occupy!r}")
        if timeout_seconds is not None and not timeout_seconds >= 0:
            raise ValueError(f"timeout_seconds must be 0 or more, not {timeout_seconds!r}")
        self.occupy = occupy
        self.timeout = timeout_seconds
        self.strict = strict
        self.decays = decays

    def claim(self) -> Claim:
        """Make a claim of the present code."""
        context = CURRENT.get()
        request = AcquireSlots(
            id=request_id(),
            kind=LimitKind.NAME,
            names=self.names,
            slots=self.occupy,
            decays=self.decays,
            strict=self.strict,
            timeout=self.timeout,
            label=context.name if context is not None else "",
        )
        return Claim(backends.current(), request)

    def take(self, claim: Claim) -> None:
        """Wait for the slots."""
        if not self.names:
            return
        try:
            slots = waited_for(claim)
        except NotFound as error:
            raise ConcurrencySlotAcquisitionError(str(error)) from None
        if not slots.granted:
            raise AcquireConcurrencySlotTimeoutError(
                f"no {self.occupy} free {'slot' if self.occupy == 1 else 'slots'} of "
                f"{', '.join(map(repr, self.names))} within {self.timeout or 0:g} s"
            )

    async def take_async(self, claim: Claim) -> None:
        """Wait for the slots without blocking the event loop."""
        from stoker.engine.looping import in_thread

        try:
            await in_thread(lambda: self.take(claim))
        except BaseException:
            # Where the caller was cancelled the thread waits on: it has to know.
            claim.give_back()
            raise
