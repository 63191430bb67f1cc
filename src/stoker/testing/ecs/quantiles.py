"""Durations drawn from quantiles that a test chooses."""

from collections.abc import Mapping
from random import Random


class Quantiles:
    """A distribution, given by some of its quantiles, with straight lines between them.

    Args:
        values: Seconds by quantile, such as ``{0.5: 35, 0.9: 50, 0.99: 90}``. Below the lowest
            and above the highest quantile the value is that quantile's.

    Raises:
        ValueError: There is no quantile, one lies outside 0…1, or the values fall.

    Example:
        >>> Quantiles({0.0: 1.0, 1.0: 3.0}).at(0.5)
        2.0
    """

    def __init__(self, values: Mapping[float, float]) -> None:
        self._points = sorted(values.items())
        if not self._points or not all(0 <= quantile <= 1 for quantile, _ in self._points):
            raise ValueError("quantiles: give at least one, each between 0 and 1")
        seconds = [value for _, value in self._points]
        if seconds != sorted(seconds) or seconds[0] < 0:
            raise ValueError("quantiles: the values must be positive and must not fall")

    @classmethod
    def always(cls, seconds: float) -> "Quantiles":
        """The same duration each time."""
        return cls({0.5: seconds})

    def at(self, quantile: float) -> float:
        """The seconds at a quantile between 0 and 1."""
        low_quantile, low = self._points[0]
        for high_quantile, high in self._points:
            if quantile <= high_quantile:
                if high_quantile == low_quantile:
                    return high
                share = (quantile - low_quantile) / (high_quantile - low_quantile)
                return low + max(0.0, share) * (high - low)
            low_quantile, low = high_quantile, high
        return low

    def draw(self, random: Random) -> float:
        """A duration in seconds."""
        return self.at(random.random())


FARGATE = Quantiles({0.05: 20.0, 0.5: 35.0, 0.9: 55.0, 0.99: 90.0})
"""About what a task of a middle-sized image takes on Fargate, from RunTask to RUNNING."""

NO_WAIT = Quantiles.always(0.05)
"""What keeps tests short."""
