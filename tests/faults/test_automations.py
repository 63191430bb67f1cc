"""``kill -9`` of the server around firings and deliveries: none is lost, no run starts twice."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.crash_points import VARIABLE
from stoker.domain.automation.actions import CallWebhook, RunDeployment
from stoker.domain.automation.automations import Automation
from stoker.domain.automation.triggers import EventTrigger, Posture
from stoker.domain.events import EmitEvent, Resource
from stoker.testing import Harness
from stoker.testing.receiver import Receiver

PROJECT = Path(__file__).parent / "project"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where crash points are armed."""
    return tmp_path_factory.mktemp("crash-points")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Harness]:
    """A server without a worker: what automations start waits in its queue."""
    settings = {"lease": 1.0, "heartbeat": 0.3}
    environ = {VARIABLE: str(folder)}
    with Harness(tmp_path_factory.mktemp("alone"), settings, environ) as stoker:
        stoker.start_server()
        stoker.create_pool("default")
        stoker.deploy(PROJECT / "flows.py", "quick")
        yield stoker


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def await_true(what: Callable[[], Any], timeout: float = 20.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < deadline, "it has not come true"
        time.sleep(0.02)
    return found


def emit(stoker: Harness, name: str) -> None:
    stoker.api.emit_event(EmitEvent(event=name, resource=Resource("file", "a")))


def let_die(stoker: Harness) -> None:
    """Wait until the server has met its end, and start it again."""
    server = stoker.server
    assert server is not None
    await_true(lambda: not server.running)
    stoker.start_server()


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("firing.before", 1),
        ("firing.after", 1),
        ("delivery.before", 1),
        ("delivery.before", 2),
        ("delivery.after", 1),
        ("delivery.after", 2),
    ],
)
def test_each_action_is_done_and_a_run_is_started_once(
    alone: Harness, folder: Path, receiver: Receiver, point: str, times: int
) -> None:
    name = f"{point}-{times}"
    alone.api.create_automation(
        Automation(
            name=name,
            trigger=EventTrigger(expect=[name]),
            actions=[
                RunDeployment(deployment="quick/test", parameters={"n": 1}, tags=[name]),
                CallWebhook(url=receiver.url, timeout=0.5),
            ],
        )
    )
    (folder / point).write_text(str(times))
    emit(alone, name)
    let_die(alone)
    receiver.await_messages(1)
    done = await_true(
        lambda: (
            [one for one in alone.api.automation(name).deliveries if one.state == "done"][1:]
            and alone.api.automation(name).deliveries
        )
    )
    assert len(done) == 2, "it fired once"
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    started = [run for run in alone.api.runs(limit=1000).runs if name in run.tags]
    assert len(started) == 1
    alone.api.delete_automation(name)


def test_what_was_counted_and_waited_for_outlives_the_server(
    alone: Harness, receiver: Receiver
) -> None:
    hook = CallWebhook(url=receiver.url, payload={"by": "{{ automation.name }}"})
    alone.api.create_automation(
        Automation(
            name="counts", trigger=EventTrigger(expect=["tick"], threshold=3), actions=[hook]
        )
    )
    alone.api.create_automation(
        Automation(
            name="waits",
            trigger=EventTrigger(
                expect=["never"], after=["tick"], posture=Posture.PROACTIVE, within=1.5
            ),
            actions=[hook],
        )
    )
    for _ in range(2):
        emit(alone, "tick")
        emit(alone, "tock")
    # The page of the stream says that both were seen by the loop that reads for automations.
    await_true(lambda: alone.api.events(filters=[("event", "tick")]).events)
    server = alone.server
    assert server is not None
    server.kill()
    alone.start_server()
    emit(alone, "tick")
    said = receiver.await_messages(2)
    assert sorted(one["by"] for one in said) == ["counts", "waits"]
    for name in ("counts", "waits"):
        alone.api.delete_automation(name)
