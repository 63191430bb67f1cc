"""When a failed run is called again, and after which delay."""

from collections.abc import Callable, Sequence

from msgspec import Struct

RetryDelay = float | int | Sequence[float] | Callable[[int], Sequence[float]] | None
"""Seconds, or a list with one entry per retry (the last is repeated), or a function that makes
that list from the number of retries."""


class RetryPolicy(Struct, frozen=True):
    """How often, and after how many seconds, a run is called again.

    Attributes:
        retries: Calls after the first one.
        delays: Seconds before each retry; the last is repeated.
        jitter: A random part of this many times the delay is added.
    """

    retries: int = 0
    delays: tuple[float, ...] = ()
    jitter: float = 0.0

    def delay(self, run_count: int) -> float:
        """Return the seconds to wait after call number ``run_count``.

        Example:
            >>> RetryPolicy(3, (1.0, 5.0)).delay(3)
            5.0
        """
        if not self.delays:
            return 0.0
        return self.delays[min(run_count, len(self.delays)) - 1]

    def longest(self) -> float:
        """Return the seconds of all delays together, at most.

        Example:
            >>> RetryPolicy(3, (1.0, 5.0)).longest()
            11.0
        """
        if not self.delays:
            return 0.0
        repeated = max(0, self.retries - len(self.delays)) * self.delays[-1]
        return (sum(self.delays[: self.retries]) + repeated) * (1 + self.jitter)


NEVER = RetryPolicy()


def retry_policy(
    retries: int | None, delay: RetryDelay, jitter: float | None = None
) -> RetryPolicy:
    """Make the policy of what a decorator was given.

    Raises:
        ValueError: A number is negative.
    """
    if not retries:
        if retries is not None and retries < 0:
            raise ValueError(f"retries must be 0 or more, not {retries}")
        return NEVER
    if callable(delay):
        delay = delay(retries)
    if delay is None:
        delays: tuple[float, ...] = ()
    elif isinstance(delay, (int, float)):
        delays = (float(delay),)
    else:
        delays = tuple(float(seconds) for seconds in delay)
    if retries < 0 or any(seconds < 0 for seconds in delays) or (jitter or 0) < 0:
        raise ValueError("retries, retry delays and their jitter must be 0 or more")
    return RetryPolicy(retries, delays, jitter or 0.0)
