"""The fence: when a silent host's runs are over, whoever can see to it.

After so many seconds without an acknowledged heartbeat a host's runs are given up. Before that
everybody who can ends them, one after the other: the agent; its zygotes, where the agent is
stopped; its worker, where both are. Each counts on its own clock since the same heartbeat.
"""

MAX_MARGIN = 30.0
"""Seconds between the agent's end and the fence, at the most; a tenth of ``fence_after``
otherwise."""


def margin(fence_after: float) -> float:
    """Seconds before the fence at which an agent ends its host.

    Example:
        >>> margin(600.0), margin(50.0)
        (30.0, 5.0)
    """
    return min(MAX_MARGIN, fence_after / 10)


def agents_turn(fence_after: float) -> float:
    """Seconds after the last heartbeat at which an agent ends its host."""
    return fence_after - margin(fence_after)


def zygotes_turn(fence_after: float) -> float:
    """Seconds after the last heartbeat at which a zygote ends its children."""
    return fence_after - margin(fence_after) / 2


def workers_turn(fence_after: float) -> float:
    """Seconds after the last heartbeat at which a worker is asked to kill the host."""
    return fence_after - margin(fence_after) / 4
