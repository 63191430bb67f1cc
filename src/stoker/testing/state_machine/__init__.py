"""A Hypothesis state machine that takes the same steps on several stores, and compares them.

Example:
    >>> with two_empty_stores() as make:
    ...     run_machine(make).steps["given"] > 0
    True
"""

from stoker.testing.state_machine.running import BOUNDED, Make, run_machine, two_empty_stores

__all__ = ["BOUNDED", "Make", "run_machine", "two_empty_stores"]
