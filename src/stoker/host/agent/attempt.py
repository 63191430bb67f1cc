"""One attempt of a run at a host: what the agent knows of it, and how it judges a sudden end."""

import asyncio
import signal
from enum import StrEnum

from msgspec import Struct

from stoker.domain.reports import Finished
from stoker.domain.states import StateRecord, StateType
from stoker.host.agent.log_meter import LogMeter
from stoker.wire.host import Job

Key = tuple[str, int]
"""Run id and attempt."""


class Doom(StrEnum):
    """Why the agent is ending a run."""

    CANCEL = "cancel"
    SUSPEND = "suspend"
    FAIL = "fail"
    TIMEOUT = "timeout"
    STOP = "stop"
    NONSENSE = "nonsense"
    MEMORY = "memory"


class Attempt(Struct, eq=False):
    """One attempt.

    Attributes:
        job: What was assigned.
        received: When, seconds since the epoch.
        frames: Frames sent so far, by run: its own, and those in its process.
        log: Counts its log.
        imported: When the zygote that was started for it was ready.
        import_seconds: How long the import took.
        lost_child: Whether a child died with it before it said a word; it got another one then.
        doom: Why it is being ended, if it is.
        reason: What is to be said of its end, where ``doom`` does not tell all.
        stopped: Whether its processes stand still.
        finished: Whether its end was reported.
        timer: Ends it when its time is up.
        killer: Ends it for good, where it does not end by itself.
        asker: Asks it again to end.
    """

    job: Job
    received: float
    frames: dict[str, int]
    log: LogMeter
    imported: float | None = None
    import_seconds: float | None = None
    lost_child: bool = False
    doom: Doom | None = None
    reason: str = ""
    stopped: bool = False
    finished: bool = False
    timer: asyncio.TimerHandle | None = None
    killer: asyncio.TimerHandle | None = None
    asker: asyncio.TimerHandle | None = None

    @property
    def key(self) -> Key:
        """Run id and attempt."""
        return self.job.run_id, self.job.attempt

    def next_frame(self, run_id: str) -> tuple[int, int]:
        """Return attempt and sequence number of its next frame about a run.

        A run inside its process has one attempt: another attempt of this one starts others.
        """
        seq = self.frames.get(run_id, 0) + 1
        self.frames[run_id] = seq
        return self.job.attempt if run_id == self.job.run_id else 1, seq

    def forget_timers(self) -> None:
        """It is over: let no timer fire."""
        for timer in (self.timer, self.killer, self.asker):
            if timer is not None:
                timer.cancel()


def verdict(attempt: Attempt, code: int | None, now: float) -> Finished:
    """Say how a run ended whose process ended without a word.

    Args:
        attempt: The attempt.
        code: Exit code, minus the number of a signal, or None where it died with its zygote.
        now: Seconds since the epoch.
    """
    lost = attempt.doom in (None, Doom.STOP)
    match attempt.doom:
        case Doom.CANCEL:
            state = StateRecord(StateType.CANCELLED, "Cancelled", now, "cancelled on request")
        case Doom.SUSPEND:
            state = StateRecord(StateType.PAUSED, "Suspended", now)
        case Doom.FAIL:
            state = StateRecord(StateType.FAILED, "Failed", now, attempt.reason)
        case Doom.TIMEOUT:
            message = f"ended by its host at the end of its time limit of {attempt.job.timeout:g} s"
            state = StateRecord(StateType.FAILED, "TimedOut", now, message)
        case Doom.MEMORY:
            state = StateRecord(StateType.CRASHED, "OutOfMemory", now, attempt.reason)
        case Doom.STOP:
            state = crashed("its host was stopped", now)
        case Doom.NONSENSE:
            message = "something other than Stoker wrote into its connection to the host"
            state = crashed(message, now)
        case None:
            state = crashed(describe_exit(code), now)
    return Finished(state, lost=lost)


def crashed(message: str, now: float) -> StateRecord:
    """Return a `Crashed` state."""
    return StateRecord(StateType.CRASHED, "Crashed", now, message)


def describe_exit(code: int | None) -> str:
    """Say what an exit code means.

    Example:
        >>> describe_exit(-11)
        'its process was killed by SIGSEGV (a crash in compiled code)'
    """
    if code is None:
        return "its process was killed with the zygote that it came from"
    if code >= 0:
        return (
            f"its process ended with exit code {code} before the flow had returned "
            "(os._exit, or a library that ends the process)"
        )
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hints: dict[int, str] = {
        signal.SIGKILL: " (out of memory, or somebody's kill -9)",
        signal.SIGSEGV: " (a crash in compiled code)",
        signal.SIGBUS: " (a crash in compiled code, or a file cut short that was mapped)",
        signal.SIGXCPU: " (its rlimit of processor time)",
        signal.SIGABRT: " (a failed check in compiled code)",
    }
    return f"its process was killed by {name}{hints.get(-code, '')}"
