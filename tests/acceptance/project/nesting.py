"""Flows that start deployed flows and wait for them."""

import asyncio
from collections.abc import Callable
from typing import Any

import ledger

from stoker import arun_deployment, flow, run_deployment
from stoker.runtime import flow_run
from stoker.testing import arrive


def call(path: str, name: str, parameters: dict[str, Any]) -> Any:
    """Run a deployment and wait for it, and write down that the present run waits."""
    ledger.write(path, "wait")
    run = run_deployment(name, parameters)
    ledger.write(path, "go on")
    return run.state.result()


def entered(path: str, work: Callable[[], Any]) -> Any:
    """Do some work, and write down when it begins and ends."""
    ledger.write(path, "start")
    value = work()
    ledger.write(path, "end")
    return value


@flow
def grandparent(path: str, n: int, name: str) -> int:
    """Three levels: this is the first."""
    parameters = {"path": path, "n": n, "name": name}
    return entered(path, lambda: call(path, f"parent/{name}", parameters) + 100)


@flow
def parent(path: str, n: int, name: str) -> int:
    """The second level."""
    parameters = {"path": path, "n": n}
    return entered(path, lambda: call(path, f"child/{name}", parameters) + 10)


@flow
def child(path: str, n: int) -> int:
    """The third level."""
    return entered(path, lambda: n * 1000)


@flow
def square(n: int) -> int:
    """A deployed flow with a result."""
    return n * n


@flow
def meet(gate: str) -> str | None:
    """Wait at a gate."""
    return arrive(gate, flow_run.id)


@flow
def call_sync(n: int) -> dict[str, Any]:
    """Start a child and wait for it."""
    run = run_deployment("square/test", {"n": n})
    return {"value": run.state.result(), "id": run.id, "me": flow_run.id}


@flow
async def call_async(n: int) -> list[int]:
    """Start children at once and wait for all of them."""
    runs = await asyncio.gather(*(arun_deployment("square/test", {"n": i}) for i in range(n)))
    # In a coroutine it can be awaited, which its type does not say.
    last: Any = run_deployment("square/test", {"n": n})
    more = await last
    return [run.state.result() for run in (*runs, more)]


@flow
def call_and_go_on(gate: str, timeout: float) -> dict[str, Any]:
    """Start a child that waits at a gate, and wait a little for it; it is let go afterwards."""
    run = run_deployment("meet/test", {"gate": gate}, timeout=timeout)
    before = run.state.name
    arrive(gate, "parent")
    return {"before": before, "after": run.wait().state.name, "id": run.id}


@flow
def call_failing() -> str:
    """Wait for a child that fails."""
    state = run_deployment("fail/test", {"message": "no luck"}).state
    error = state.result(raise_on_failure=False)
    return f"{state.name}: {type(error).__name__}: {error}"


@flow
def wait_for(gate: str) -> str | None:
    """Wait for a child that waits at a gate."""
    return run_deployment("meet/test", {"gate": gate}).state.result()
