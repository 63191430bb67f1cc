"""Random numbers: no child draws those of another.

Python's own generator is seeded at every fork, by the module `random` itself. numpy's global one is
not. Its ``seed()`` would touch, and so copy, half a megabyte that the child shares with its zygote,
more than all the rest of a child's preparation. So the zygote seeds it once and notes where its
state lies, and each child fills that with random bytes.

Generators that a user's module makes for itself at import are not known here.
"""

import ctypes
import os
import sys
from typing import Any

STATE_SIZE = 624 * 4
"""Bytes of the Mersenne twister's state. Any that are not all zero are a good one."""


def find_state() -> int | None:
    """Seed numpy's global generator, if numpy is loaded, and return where its state lies.

    None where that is not known, as for a generator of another kind that a user has set: then
    `renew` seeds it the slow way.
    """
    module: Any = sys.modules.get("numpy.random")
    if module is None:
        return None
    module.seed()
    generator: Any = getattr(module, "get_bit_generator", lambda: None)()
    if type(generator).__name__ != "MT19937":
        return None
    address: int = generator.ctypes.state_address
    return address


def renew(state: int | None) -> None:
    """Give this process random numbers of its own; ``state`` is what `find_state` said."""
    if state is not None:
        ctypes.memmove(state, os.urandom(STATE_SIZE), STATE_SIZE)
        return
    module: Any = sys.modules.get("numpy.random")
    if module is not None:
        module.seed()
