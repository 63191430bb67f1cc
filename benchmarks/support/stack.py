"""A Stoker of the benchmark's own: in a home that is removed afterwards."""

import os
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stoker import settings
from stoker.domain.hosts import HostState
from stoker.domain.pools import WarmKnobs
from stoker.domain.states import TERMINAL, StateType
from stoker.engine import backends
from stoker.testing import Harness, harness

PROJECT = Path(__file__).parent / "project"
"""The flows that are measured."""

POOL = "bench"
"""The pool that they run on, and their deployments' own name."""

ONE_HOST = WarmKnobs(min=1, max=1, slots_per_host=8)
"""The most for two cores: eight children wait, and no second host imports beside them."""

SPARES = WarmKnobs(min=0, max=1, slots_per_host=8)
"""For runs with a host each: one is ready, eight may be there."""

OPEN = [state for state in StateType if state not in TERMINAL]


@contextmanager
def stack(
    warm: WarmKnobs | None = None,
    settings: Mapping[str, object] | None = None,
    home: Path | None = None,
) -> Generator[Harness]:
    """Run a server, and where ``warm`` is given a pool and its worker.

    It is the server that this process's SDK uses meanwhile.
    """
    pool = None if warm is None else POOL
    with (
        harness(home, pool=pool, warm=warm, settings=settings) as running,
        configured(running.home, running.url),
    ):
        yield running


def deploy(running: Harness, file: str, function: str, isolation: str = "fork") -> str:
    """Deploy one of the project's flows and return its full name."""
    found = running.deploy(
        PROJECT / file, function, name=POOL, pool=POOL, project=PROJECT, isolation=isolation
    )
    return found[function].full_name


def warm_up(running: Harness, deployment: str, runs: int) -> None:
    """Run a deployment a few times, none of which counts, and at least once."""
    for _ in range(max(1, runs)):
        running.value(deployment)


def await_spare(running: Harness) -> None:
    """Return once a host of its own is ready for the next run, and no other one is there."""
    while True:
        found = running.api.pool(POOL)
        up = [host.id for host in found.hosts if host.state is HostState.UP]
        ready = [one.host_id for one in found.zygotes if one.ready]
        if len(found.hosts) == 1 and up and up == ready:
            return
        time.sleep(0.005)


def settle(running: Harness) -> None:
    """Return once no run is queued or running."""
    while running.api.runs(states=list(OPEN), limit=1).runs:
        time.sleep(0.001)


@contextmanager
def configured(home: Path, url: str | None = None) -> Generator[None]:
    """Have this process's SDK use a home, and a server if there is one."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(plain_environment(home))
    if url is not None:
        os.environ["STOKER_API_URL"] = url
    settings.load.cache_clear()
    try:
        yield
    finally:
        backends.close()
        os.environ.clear()
        os.environ.update(before)
        settings.load.cache_clear()


def plain_environment(home: Path) -> dict[str, str]:
    """Return this process's environment with no other setting of Stoker than the home."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("STOKER_")}
    return kept | {"STOKER_HOME": str(home)}


@contextmanager
def scratch() -> Generator[Path]:
    """A folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="stoker-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
