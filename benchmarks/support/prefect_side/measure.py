"""Times Prefect, in its own venv: `measure.py METRIC N` prints the samples as a JSON list."""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

# It is in another venv, and unknown to the tools of this one.
prefect: Any = import_module("prefect")
get_client: Any = import_module("prefect.client.orchestration").get_client
run_deployment: Any = import_module("prefect.deployments").run_deployment

ROUNDS = 3
POLL = 0.02
"""Seconds between two looks at whether a run is over."""


@prefect.task
def step(number: int = 0) -> None:
    """Do nothing."""
    del number


@prefect.flow
def direct(calls: int) -> float:
    """Return seconds for one task call."""
    started = time.monotonic()
    for _ in range(calls):
        step()
    return (time.monotonic() - started) / calls


@prefect.flow
def submitted(calls: int) -> float:
    """Return seconds for one task that is submitted."""
    started = time.monotonic()
    for future in [step.submit() for _ in range(calls)]:
        future.result()
    return (time.monotonic() - started) / calls


@prefect.flow
def mapped(calls: int) -> float:
    """Return seconds for one task that is mapped."""
    started = time.monotonic()
    step.map(range(calls)).result()
    return (time.monotonic() - started) / calls


@prefect.flow
def nothing() -> None:
    """Do nothing."""


@prefect.flow
def parent(calls: int) -> list[float]:
    """Return milliseconds of each sub-flow."""
    return in_process_flow(calls)


def in_process_flow(calls: int) -> list[float]:
    """Return milliseconds of each flow."""
    samples: list[float] = []
    for _ in range(calls):
        started = time.monotonic()
        nothing()
        samples.append((time.monotonic() - started) * 1000)
    return samples


def deploy(function: str) -> str:
    """Deploy a flow of the file beside this one; return the full name."""
    folder = Path(__file__).parent
    flow = prefect.flow.from_source(source=str(folder), entrypoint=f"flows.py:{function}")
    flow.deploy(name="bench", work_pool_name="bench", build=False, print_next_steps=False)
    return f"{function}/bench"


def wait(client: Any, run_ids: list[Any]) -> None:
    """Return once all runs completed."""
    for run_id in run_ids:
        while not (state := client.read_flow_run(run_id).state).is_final():
            time.sleep(POLL)
        if not state.is_completed():
            raise RuntimeError(f"run {run_id} is {state.name}: {state.message}")


def hot_start(n: int) -> list[float]:
    """Milliseconds to the first line; the first run does not count."""
    deployment = deploy("clock")
    samples: list[float] = []
    file = Path("clock").absolute()
    with get_client(sync_client=True) as client:
        for _ in range(n + 1):
            started = time.monotonic_ns()
            run = run_deployment(deployment, parameters={"file": str(file)}, timeout=0)
            wait(client, [run.id])
            samples.append((int(file.read_text()) - started) / 1e6)
    return samples[1:]


def burst(n: int) -> list[float]:
    """Runs per second, from the first submission to the last end."""
    deployment = deploy("nothing")
    with get_client(sync_client=True) as client:
        wait(client, [run_deployment(deployment, timeout=0).id])
        started = time.monotonic()
        wait(client, [run_deployment(deployment, timeout=0).id for _ in range(n)])
        return [n / (time.monotonic() - started)]


def accept_single(n: int) -> list[float]:
    """Runs accepted per second on one connection; all are for later, so no worker takes them."""
    deployment = deploy("nothing")
    states: Any = import_module("prefect.states")
    later = import_module("datetime").timedelta(days=1)
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
        rates: list[float] = []
        for _ in range(ROUNDS):
            started = time.monotonic()
            for _ in range(n):
                state = states.Scheduled(scheduled_time=states.now("UTC") + later)
                client.create_flow_run_from_deployment(found.id, state=state)
            rates.append(n / (time.monotonic() - started))
        return rates


def per_task(flow: Any) -> Callable[[int], list[float]]:
    """Microseconds for one call, of each round but the first."""
    return lambda n: [flow(n) * 1e6 for _ in range(ROUNDS + 1)][1:]


METRICS: dict[str, Callable[[int], list[float]]] = {
    "hot_start": hot_start,
    "burst": burst,
    "accept_single": accept_single,
    "task_direct": per_task(direct),
    "task_submit": per_task(submitted),
    "task_map": per_task(mapped),
    "in_process_flow": lambda n: in_process_flow(n + 1)[1:],
    "in_process_subflow": lambda n: parent(n + 1)[1:],
}

if __name__ == "__main__":
    print(json.dumps(METRICS[sys.argv[1]](int(sys.argv[2]))))
