"""What users and our own tests share.

Names are loaded at their first use: a flow that waits at a gate loads no server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stoker.testing.gate import Arrival, Gate, arrive
    from stoker.testing.local import Harness, harness, result_of

__all__ = ["Arrival", "Gate", "Harness", "arrive", "harness", "result_of"]

_HOMES = {
    "Arrival": "gate",
    "Gate": "gate",
    "Harness": "local",
    "arrive": "gate",
    "harness": "local",
    "result_of": "local",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stoker.testing' has no attribute {name!r}")
    value = getattr(import_module(f"stoker.testing.{home}"), name)
    globals()[name] = value
    return value
