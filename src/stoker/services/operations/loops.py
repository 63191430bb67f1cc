"""How the server's loops are: whether they go on, fail, or have stopped where they must not."""

from stoker.ports.clock import Clock

SLACK = 10.0
"""Seconds by which a loop with a steady pace may be late before it counts as hung."""

RECENT = 3.0
"""Seconds after which a loop that has not failed again is well."""


class Loops:
    """What the loops say of themselves. Used from the event loop alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing: dict[str, tuple[float, str]] = {}
        self._ended: set[str] = set()
        self._due: dict[str, float] = {}

    def failed(self, name: str, problem: str) -> None:
        """A loop failed, and is tried again in a second."""
        self._failing[name] = (self._clock.boot() + RECENT, problem)

    def ended(self, name: str) -> None:
        """A loop runs no more."""
        self._ended.add(name)

    def expect(self, name: str, within: float) -> None:
        """A loop will say so again within so many seconds."""
        self._due[name] = self._clock.boot() + within + SLACK

    def problems(self) -> list[str]:
        """Say what is wrong, a line for each loop."""
        now = self._clock.boot()
        late = {name: now - due + SLACK for name, due in self._due.items() if due < now}
        return [
            *(f"the {name} has ended" for name in sorted(self._ended)),
            *(
                f"the {name} fails: {text}"
                for name, (until, text) in sorted(self._failing.items())
                if now < until
            ),
            *(f"the {name} hangs: it is {by:.0f} s late" for name, by in sorted(late.items())),
        ]


class PacedClock:
    """The clock of a loop with a steady pace: each of its sleeps says when it is due again.

    Args:
        clock: The time.
        loops: Whom to tell.
        name: Which loop it is.
        work: Seconds that its work may take.
    """

    def __init__(self, clock: Clock, loops: Loops, name: str, work: float) -> None:
        self._clock = clock
        self._loops = loops
        self._name = name
        self._work = work

    def now(self) -> float:
        """See `Clock.now`."""
        return self._clock.now()

    def boot(self) -> float:
        """See `Clock.boot`."""
        return self._clock.boot()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self._loops.expect(self._name, seconds + self._work)
        await self._clock.sleep(seconds)
