"""What goes wrong: on demand, and at random by a seed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

Fault = Literal[
    "access_denied",
    "server_error",
    "throttled",
    "ec2_throttled",
    "request_lost",
    "answer_lost",
    "no_memory",
    "no_cpu",
    "no_agent",
    "no_capacity",
    "capacity_lost",
    "no_addresses",
    "cannot_pull",
    "vanishes",
    "never_starts",
    "mute",
]
"""What can go wrong.

Of any call: ``access_denied``, ``server_error`` (of ``StopTask``: the task goes on),
``throttled``, ``request_lost`` (not carried out, no answer), ``answer_lost`` (carried out, no
answer), and of RunTask ``ec2_throttled`` (EC2's throttling, as an InvalidParameterException).

Of a task that is placed: ``no_memory``, ``no_cpu``, ``no_agent`` and ``no_capacity`` are among the
failures that RunTask answers. Of a task after that: ``capacity_lost``, ``no_addresses`` and
``cannot_pull`` stop it before it starts, ``vanishes`` makes it unknown, ``never_starts`` leaves it
PENDING, and a ``mute`` one is RUNNING and its command is not.
"""

FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(slots=True)
class _Planned:
    fault: Fault
    action: str | None
    left: int | None


class Faults:
    """Says when something goes wrong.

    Args:
        rates: The share of occasions, between 0 and 1, on which a fault strikes at random.
        seed: Of the random generator.

    Example:
        >>> faults = Faults()
        >>> faults.inject("answer_lost", action="RunTask")
        >>> faults.strikes("answer_lost", "StopTask"), faults.strikes("answer_lost", "RunTask")
        (False, True)
    """

    def __init__(self, rates: Mapping[Fault, float] | None = None, seed: int = 0) -> None:
        self.rates: dict[Fault, float] = {}
        self.struck: Counter[Fault] = Counter()
        self._random = Random(seed)
        self._planned: list[_Planned] = []
        for fault, share in (rates or {}).items():
            _check(fault)
            self.rates[fault] = share

    def inject(self, fault: Fault, *, times: int | None = 1, action: str | None = None) -> None:
        """Have a fault strike.

        Args:
            fault: Which.
            times: On how many occasions; `None` until `clear`.
            action: Only calls of this action; by default any.

        Raises:
            ValueError: There is no such fault.
        """
        _check(fault)
        self._planned.append(_Planned(fault, action, times))

    def clear(self) -> None:
        """Have nothing more go wrong, at random neither."""
        self._planned.clear()
        self.rates.clear()

    def strikes(self, fault: Fault, action: str | None = None) -> bool:
        """Whether a fault strikes on this occasion."""
        hit = self._takes_planned(fault, action)
        rate = self.rates.get(fault, 0.0)
        if not hit and rate:
            hit = self._random.random() < rate
        if hit:
            self.struck[fault] += 1
        return hit

    def _takes_planned(self, fault: Fault, action: str | None) -> bool:
        for planned in self._planned:
            if planned.fault == fault and planned.action in (None, action):
                if planned.left is not None:
                    planned.left -= 1
                    if planned.left == 0:
                        self._planned.remove(planned)
                return True
        return False


def _check(fault: str) -> None:
    if fault not in FAULTS:
        raise ValueError(f"there is no fault {fault!r}; there are {', '.join(FAULTS)}")
