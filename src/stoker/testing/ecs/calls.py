"""What was called, for tests to read."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API.

    Attributes:
        at: When, in seconds since the epoch.
        action: Such as ``RunTask``.
        parameters: Its request.
        error: The code of the error that it got, if it got one; ``AnswerLost`` where it was left
            without an answer.
    """

    at: float
    action: str
    parameters: dict[str, Any]
    error: str | None = None


@dataclass(slots=True)
class Calls:
    """The log of calls.

    Attributes:
        log: Each call, in order.
        counts: Calls by action.
        errors: Calls that failed, by action and error code.
    """

    log: list[Call] = field(default_factory=list[Call])
    counts: Counter[str] = field(default_factory=Counter[str])
    errors: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    def add(self, call: Call) -> None:
        """Note a call."""
        self.log.append(call)
        self.counts[call.action] += 1
        if call.error:
            self.errors[call.action, call.error] += 1

    def of(self, action: str) -> list[Call]:
        """The calls of one action."""
        return [call for call in self.log if call.action == action]

    def throttled(self, action: str | None = None) -> int:
        """How many calls, of an action or of all, got a ``ThrottlingException``."""
        return sum(
            count
            for (called, error), count in self.errors.items()
            if error == "ThrottlingException" and action in (None, called)
        )

    def clear(self) -> None:
        """Forget all."""
        self.log.clear()
        self.counts.clear()
        self.errors.clear()
