"""Running the machine: a number of examples, on stores that are made for each of them."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, settings

from stoker.ports.store import Store
from stoker.storage.sqlite.store import SqliteStore
from stoker.testing.memory import MemoryStore
from stoker.testing.state_machine.machinery import Machinery
from stoker.testing.state_machine.sides import names_in_order

Make = Callable[[], dict[str, Store]]
"""Makes empty stores by name; what is to be expected, the first of them says."""

BOUNDED = settings(
    max_examples=8,
    stateful_step_count=30,
    # To find shorter steps that fail would take minutes: what failed first is told at once.
    phases=[Phase.reuse, Phase.generate],
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
"""The usual number of examples."""


@contextmanager
def two_empty_stores() -> Generator[Make]:
    """What makes two empty stores: in memory, and on SQLite."""
    with ExitStack() as stack:

        def make() -> dict[str, Store]:
            folder = stack.enter_context(TemporaryDirectory())
            embedded = SqliteStore(Path(folder) / "stoker.db", synchronous="OFF", readers=1)
            return {"memory": MemoryStore(), "sqlite": embedded}

        yield make


def run_machine(
    make: Make, *, kept: frozenset[str] = frozenset(), bounds: settings = BOUNDED
) -> type[Machinery]:
    """Run the machine; return it with what its steps came to.

    Args:
        make: Makes the stores.
        kept: Names of the stores that are used again, and not closed.
        bounds: How many examples, of how many steps.

    Raises:
        AssertionError: The stores differ, or a law is broken.
    """
    machine = type("Machine", (Machinery,), {"make": staticmethod(make), "kept": kept})
    machine.steps.clear()
    case = machine.TestCase
    case.settings = bounds
    with names_in_order():
        case().runTest()
    return machine
