"""Who waits on this server for slots of limits, and the loop that gives them out."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from math import inf
from typing import TypeVar

from stoker.domain.concurrency import LimitKind
from stoker.domain.requests import AcquireSlots, Slots
from stoker.ports.clock import Clock
from stoker.ports.store import Records
from stoker.services.concurrency import limiting
from stoker.services.concurrency.limiting import Holder, Moved, Waits
from stoker.services.dispatcher import Dispatcher
from stoker.services.unit import LimitName, Unit

T = TypeVar("T")

SLOW_POLL = 1.0
"""Seconds between two looks at all limits that somebody waits for here: another process may have
changed them without a word."""
SOONEST = 0.005
"""Seconds until the next look at the decay of slots, at the least."""


class Granter:
    """Answers requests for slots, at once or when they have them.

    A release is stored with what caused it, and looked at right after: whoever stored it gives
    the slots to those whose turn it is, on whatever server they wait.
    """

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._waiting: defaultdict[str, set[asyncio.Future[bool]]] = defaultdict(set)
        self._stored: set[str] = set()
        self._freed: set[LimitName] = set()
        self._decay: dict[LimitName, float] = {}
        self._wake = asyncio.Event()
        dispatcher.on_slots = self.settle
        dispatcher.on_answers = self.answer

    @property
    def waiting(self) -> int:
        """How many requests wait on this server."""
        return len(self._waiting)

    async def acquire(
        self,
        request: AcquireSlots,
        holder: Holder,
        forgotten: asyncio.Future[None] | None = None,
        hold: float = inf,
    ) -> Slots:
        """Return slots once they are there.

        Where the request's own time passes, where the holder turns to something else
        (``forgotten`` is done) or ends, the request is over. Where ``hold`` seconds pass, or the
        connection goes, it keeps its place, and may be made again.

        Raises:
            StokerError: See `stoker.services.concurrency.limiting.ask`.
        """
        granted = asyncio.get_running_loop().create_future()
        self._waiting[request.id].add(granted)
        try:
            found = await self._transact(lambda unit: limiting.ask(unit, request, holder))
            if isinstance(found, Waits):
                self._note_decay(((request.kind, name) for name in found.limited), found.next)
                self._wake.set()
                return await self._wait(request, holder, found, (granted, forgotten), hold)
            if forgotten is not None and forgotten.done():
                return await self._give_up(request, holder)
            return found
        finally:
            waiting = self._waiting[request.id]
            waiting.discard(granted)
            if not waiting:
                del self._waiting[request.id]
                self._stored.discard(request.id)

    async def _wait(
        self,
        request: AcquireSlots,
        holder: Holder,
        waits: Waits,
        ends: tuple[asyncio.Future[bool], asyncio.Future[None] | None],
        hold: float,
    ) -> Slots:
        granted, forgotten = ends
        self._stored.add(request.id)
        timeout = inf if request.timeout is None else request.timeout
        left = max(0.0, waits.asked + timeout - self._clock.now())
        least = min(left, hold)
        await asyncio.wait(
            [granted] if forgotten is None else [granted, forgotten],
            timeout=None if least == inf else least,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if forgotten is not None and forgotten.done():
            return await self._give_up(request, holder)
        if granted.done():
            return Slots(granted=granted.result(), limited=waits.limited)
        if hold < left:
            return Slots(granted=False, waiting=True)
        # Its time is over, unless its turn has come in this moment.
        if await self._transact(lambda unit: limiting.give_up(unit, request, holder)):
            return Slots(granted=False)
        return Slots(granted=True, limited=waits.limited)

    async def _give_up(self, request: AcquireSlots, holder: Holder) -> Slots:
        await self._transact(lambda unit: limiting.give_back(unit, request.id, holder))
        return Slots(granted=False)

    async def _transact(self, work: Callable[[Unit], T]) -> T:
        while True:
            try:
                return await self._dispatcher.transact(work)
            except Moved:
                continue

    # What has been committed, here or on another server.

    def settle(self, unit: Unit) -> None:
        """Take note of what a transaction has done."""
        self.answer(unit.granted, unit.given_up)
        self.freed(unit.freed)

    def answer(self, granted: Iterable[str], given_up: Iterable[str]) -> None:
        """Tell those that wait here."""
        for request in granted:
            self._tell(request, True)
        for request in given_up:
            self._tell(request, False)

    def freed(self, names: Iterable[LimitName]) -> None:
        """There may be room in these limits."""
        self._freed.update(names)
        if self._freed:
            self._wake.set()

    def _tell(self, request: str, granted: bool) -> None:
        for future in self._waiting.get(request, ()):
            if not future.done():
                future.set_result(granted)

    # The loop.

    async def run(self) -> None:
        """Give out slots for ever."""
        while True:
            await self._until_due()
            await self.once()

    async def _until_due(self) -> None:
        if self._freed:
            return
        left = SLOW_POLL if self._stored else inf
        left = min([left, *(at - self._clock.now() for at in self._decay.values())])
        self._wake.clear()
        try:
            async with asyncio.timeout(None if left == inf else max(left, SOONEST)):
                await self._wake.wait()
        except TimeoutError:
            await self._look_around()

    async def _look_around(self) -> None:
        """Look at all limits that somebody waits for, and whether those that wait here still do."""
        now = self._clock.now()
        self._freed.update(name for name, at in self._decay.items() if at <= now)
        if not self._stored:
            return
        ids = list(self._stored)

        def look(records: Records) -> tuple[dict[str, bool | None], list[LimitName]]:
            found = {id: records.slots_of_request(id) for id in ids}
            held = {id: one[0].acquired is not None if one else None for id, one in found.items()}
            return held, records.waited_limits()

        held, waited = await self._dispatcher.read(look)
        self.answer(
            [id for id, one in held.items() if one], [id for id, one in held.items() if one is None]
        )
        self._freed.update(waited)

    async def once(self) -> None:
        """Give out the slots of the limits that may have room."""
        names, self._freed = self._freed, set()
        try:
            for kind in LimitKind:
                mine = {name for each, name in names if each is kind}
                if mine:
                    await self._grant(kind, mine)
        except BaseException:
            # Nothing was given out, whatever went wrong: they are looked at again.
            self._freed |= names
            raise

    async def _grant(self, kind: LimitKind, names: set[str]) -> None:
        next_at = await self._transact(lambda unit: limiting.grant(unit, kind, names))
        self._note_decay(((kind, name) for name in names), next_at)

    def _note_decay(self, names: Iterable[LimitName], next_at: float) -> None:
        for name in names:
            self._decay.pop(name, None)
            if next_at < inf:
                self._decay[name] = next_at
