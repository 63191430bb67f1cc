"""Queued runs in their order, read group by group and only as far as they are wanted."""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count

from stoker.domain.runs import FlowRun
from stoker.ports.store import ClaimGroup, Records

PAGE = 64
"""Groups of one queue and lane that are read at once, at the most."""

Place = tuple[float, str]
"""When a run was due, and its id: its place in its queue."""

BEGIN = (-1.0, "")
"""A place before all others."""

Pair = tuple[str, str]
"""A queue and a lane."""


class Group:
    """A claim group that runs are taken from.

    Attributes:
        stored: The group as it was read.
        runs: Its first runs, as far as they are read, without those that were taken.
    """

    def __init__(self, stored: ClaimGroup) -> None:
        self.stored = stored
        self.runs: list[FlowRun] = []
        self._last: Place = (stored.due, stored.head)
        self._more = True
        self._size = 0

    @property
    def pair(self) -> Pair:
        """Its queue and lane."""
        return self.stored.queue, self.stored.lane

    def read(self, records: Records, share: int, most: int) -> None:
        """Read its first runs: those that are wanted, and the one that is its head then.

        At first those are its share, where other groups have runs as well; if it is the one whose
        turn it is, more each time.
        """
        wanted = self._size = min(most, max(share, 4 * self._size))
        records.ask_for_first(self.stored, wanted + 1)
        self.runs = records.first_of(self.stored, wanted + 1)
        self._more = len(self.runs) > wanted

    def pop(self) -> FlowRun:
        """Its oldest run, which leaves it."""
        run = self.runs.pop(0)
        self._last = _place(run)
        return run

    @property
    def is_used_up(self) -> bool:
        """Whether it has to be read again to know what follows."""
        return not self.runs and self._more

    @property
    def place(self) -> Place | None:
        """Its oldest run's, or a place before that; None where it has none."""
        if self.runs:
            return _place(self.runs[0])
        return self._last if self._more else None


class Lineup:
    """The queued runs of some queues and lanes, oldest first, that no full limit blocks.

    What follows in a queue and lane is read when it is asked for: blocked groups cost nothing,
    however many runs they have.

    Args:
        records: The transaction; it holds the pool's lock.
        pool: The pool.
        rooms: Queues and lanes, with how many runs of them can be taken at the most.
    """

    def __init__(self, records: Records, pool: str, rooms: dict[Pair, int]) -> None:
        self._records = records
        self._pool = pool
        self._rooms = rooms
        self._heap: list[tuple[Place, int, Group | Pair]] = []
        self._numbers = count()
        self._seen: list[Group] = []
        self._dropped: Group | None = None
        self._pages: dict[Pair, int] = {}
        self._known: dict[Pair, int] = {}
        sizes = {pair: min(PAGE, room + 1) for pair, room in rooms.items()}
        records.ask_for_groups(pool, sizes, BEGIN)
        for pair in rooms:
            self._next_page(pair, BEGIN)

    def __iter__(self) -> Iterator[Group]:
        """Yield the group of the next run, as long as there is one.

        Who iterates pops its run, or leaves it there and drops its group or pair.
        """
        while self._heap:
            place, _, one = heappop(self._heap)
            if not isinstance(one, Group):
                self._next_page(one, place)
                continue
            if one.pair not in self._rooms:
                continue
            if one.is_used_up:
                room = self._rooms[one.pair]
                one.read(self._records, max(1, 2 * room // self._known[one.pair]), room)
                if one not in self._seen:
                    self._seen.append(one)
            now = one.place
            if now is None:
                continue
            if now > place and self._heap and self._heap[0][0] < now:
                self._push(now, one)
                continue
            yield one
            after = one.place
            if after is not None and self._dropped is not one:
                self._push(after, one)

    def drop(self, group: Group) -> None:
        """Nothing more of this group can be taken."""
        self._dropped = group

    def close(self, pair: Pair) -> None:
        """Nothing more of this queue and lane can be taken."""
        self._rooms.pop(pair, None)

    def settle(self) -> None:
        """Write down where the groups begin now."""
        for group in self._seen:
            place = group.place
            if place != (group.stored.due, group.stored.head):
                self._records.move_group(group.stored, place)

    def _next_page(self, pair: Pair, after: Place) -> None:
        if pair not in self._rooms:
            return
        queue, lane = pair
        # As many as could be taken from; where those turn out to be full or empty, more at a time.
        size = min(PAGE, self._pages.get(pair, self._rooms[pair] + 1))
        self._pages[pair] = 4 * size
        page = self._records.open_groups(self._pool, lane, queue, after, size)
        self._known[pair] = self._known.get(pair, 0) + len(page)
        for stored in page:
            self._push((stored.due, stored.head), Group(stored))
        if len(page) == size:
            last = page[-1]
            self._push((last.due, last.head), pair)

    def _push(self, place: Place, one: Group | Pair) -> None:
        heappush(self._heap, (place, next(self._numbers), one))


def _place(run: FlowRun) -> Place:
    return run.due, run.id
