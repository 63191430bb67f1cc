"""What happened, as the checker gets it: plain records, from the ledger, the load and the store."""

from typing import Any

from msgspec import Struct, field

from stoker.domain.states import StateType


class Entry(Struct, kw_only=True, frozen=True):
    """A line of the ledger, which a flow wrote itself.

    Attributes:
        what: ``start``, ``tick``, ``end`` or ``raised``; ``waits`` and ``goes on`` around a wait
            for another run; ``takes`` and ``frees`` around the use of a named limit; more.
        run: The flow run.
        attempt: Its attempt.
        count: Which call of its function.
        pid: Its process.
        started: When that started, in clock ticks since boot.
        at: Seconds since boot.
        detail: Anything.
    """

    what: str
    run: str
    attempt: int
    count: int
    pid: int
    started: int
    at: float
    detail: Any = None


class Submission(Struct, kw_only=True):
    """A run that the load asked for, under a key of its own.

    Attributes:
        key: The idempotency key.
        token: What it shall return; no other run has it.
        run_id: The run that was acknowledged; empty where nothing was.
    """

    key: str
    token: str
    run_id: str = ""


class Register(Struct, kw_only=True):
    """A value that the load writes again and again, ever larger.

    Attributes:
        acknowledged: The last value of which it heard that it was stored.
        asked: The last value that it asked to be stored.
    """

    acknowledged: int = 0
    asked: int = 0


class Still(Struct, kw_only=True, frozen=True):
    """A time in which a run was seen to be suspended: nobody had asked for it to go on.

    Attributes:
        run: The run.
        begin: When it was seen to be suspended, in seconds since boot.
        end: When it was asked to go on.
    """

    run: str
    begin: float
    end: float


class StoredRun(Struct, kw_only=True):
    """A flow run as it stands in the store.

    Attributes:
        id: The run.
        deployment: ``"flow/name"``.
        queue: Its work queue.
        token: Its parameter of this name.
        state: Its state.
        attempt: Its attempt.
        key: Its idempotency key.
        result: What it returned, where it is JSON.
    """

    id: str
    deployment: str
    queue: str
    token: str
    state: StateType
    attempt: int
    key: str | None = None
    result: Any = None


class Sample(Struct, kw_only=True, frozen=True):
    """How many leases used which limit at some moment, by the store's word."""

    at: float
    used: dict[str, int]


class History(Struct, kw_only=True):
    """Everything that the checker judges by.

    Attributes:
        ledger: In the order in which it was written.
        submissions: What was asked for.
        cancels: Runs whose cancellation was acknowledged.
        held: Runs whose pause or suspension was acknowledged.
        resumed: By run: how often it was acknowledged that it goes on.
        stills: When runs were suspended.
        registers: By name.
        stored_registers: The same, as they stand in the store.
        runs: By id.
        states: By run: the types of its states, oldest first.
        crash_retries: By deployment; 0 for those that are not named.
        crashes: By run: after how many lost attempts it was queued again.
        resumptions: By run: how often it was queued again after it had been suspended.
        logs: By run: messages, oldest first.
        limits: Limits by name: ``pool``, ``queue NAME``, ``worker ID``, ``deployment NAME``, or
            a named limit's own.
        workers: By run and attempt, as `placed` names them: the worker that launched its host.
        samples: In order.
        over_since: By run: seconds since boot when it was seen to be over.
        left: What is there of leases, waits and the like although all is quiet, for people.
        lines: Lines that each call of a flow logs.
        occurrences: By schedule: the instants at which it had to fire.
        fired: By schedule: the instants of its runs.
    """

    ledger: list[Entry] = field(default_factory=list[Entry])
    submissions: list[Submission] = field(default_factory=list[Submission])
    cancels: set[str] = field(default_factory=set[str])
    held: set[str] = field(default_factory=set[str])
    resumed: dict[str, int] = field(default_factory=dict[str, int])
    stills: list[Still] = field(default_factory=list[Still])
    registers: dict[str, Register] = field(default_factory=dict[str, Register])
    stored_registers: dict[str, int] = field(default_factory=dict[str, int])
    runs: dict[str, StoredRun] = field(default_factory=dict[str, StoredRun])
    states: dict[str, list[StateType]] = field(default_factory=dict[str, list[StateType]])
    crash_retries: dict[str, int] = field(default_factory=dict[str, int])
    crashes: dict[str, int] = field(default_factory=dict[str, int])
    resumptions: dict[str, int] = field(default_factory=dict[str, int])
    workers: dict[str, str] = field(default_factory=dict[str, str])
    logs: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    limits: dict[str, int] = field(default_factory=dict[str, int])
    samples: list[Sample] = field(default_factory=list[Sample])
    over_since: dict[str, float] = field(default_factory=dict[str, float])
    left: list[str] = field(default_factory=list[str])
    lines: int = 12
    occurrences: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    fired: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


class Violation(Struct, kw_only=True, frozen=True):
    """A rule that was broken.

    Attributes:
        rule: Which one, in words.
        run: The run that it is about; empty for none.
        evidence: What shows it.
    """

    rule: str
    run: str = ""
    evidence: Any = None


def placed(run: str, attempt: int) -> str:
    """Name an attempt in `History.workers`.

    Example:
        >>> placed("a", 2)
        'a 2'
    """
    return f"{run} {attempt}"


def instants(first: float, interval: float, until: float, fired: list[float]) -> list[float]:
    """Return the occurrences that a schedule had to have.

    Args:
        first: Its first one.
        interval: Seconds from one to the next.
        until: It was active until then at least, seconds since the epoch.
        fired: Those that it had. All up to the last one count: a clock that was ahead brought it.

    Example:
        >>> instants(10.0, 5.0, 21.0, [10.0])
        [10.0, 15.0, 20.0]
    """
    # The last one counts, whatever the last digits of sums of floats are.
    passed = max([until, *fired]) - first + interval / 1000
    return [first + number * interval for number in range(int(passed // interval) + 1)]
