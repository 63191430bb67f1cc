"""Automations of a whole Stoker: what happens is told, counted, missed, and acted upon."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from stoker.client.event_stream import follow
from stoker.domain.automation.actions import (
    Action,
    CallWebhook,
    CancelFlowRun,
    PauseWorkPool,
    RunDeployment,
    SendNotification,
)
from stoker.domain.automation.automations import MAX_DEPTH, Automation
from stoker.domain.automation.triggers import (
    EventTrigger,
    FlowRunStateTrigger,
    Posture,
    Trigger,
)
from stoker.domain.errors import StokerError
from stoker.domain.events import EmitEvent, Event, Resource
from stoker.testing import Gate, Harness
from stoker.testing.receiver import Receiver
from stoker.wire.http import PoolUpdate

Create = Callable[..., Automation]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def create(stoker: Harness) -> Iterator[Create]:
    """Creates automations, and deletes them at the end."""
    made: list[str] = []

    def create(trigger: Trigger, *actions: Action) -> Automation:
        name = f"automation-{len(made)}"
        made.append(name)
        return stoker.api.create_automation(
            Automation(name=name, trigger=trigger, actions=list(actions))
        )

    yield create
    for name in made:
        stoker.api.delete_automation(name)


def await_true(what: Callable[[], Any], timeout: float = 15.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < deadline, "it has not come true"
        time.sleep(0.02)
    return found


def emit(stoker: Harness, name: str, **fields: Any) -> Event:
    return stoker.api.emit_event(
        EmitEvent(event=name, resource=Resource("file", fields.pop("id", "a")), **fields)
    )


def test_a_flow_that_fails_calls_a_webhook_with_its_error_and_a_link(
    stoker: Harness, receiver: Receiver, create: Create
) -> None:
    create(
        FlowRunStateTrigger(states=["Failed"], match={"deployment": "fail/test"}),
        CallWebhook(url=receiver.url, secret="s3cret"),
    )
    run = stoker.run("fail/test", {"message": "out of coal"})
    (said,) = receiver.await_messages(1)
    assert said["flow_run"]["id"] == run.id
    assert "out of coal" in said["flow_run"]["message"]
    assert said["link"] == f"{stoker.url}/api/flow-runs/{run.id}"
    assert "parameters" not in said["flow_run"]
    assert receiver.got[0][1]["webhook-signature"].startswith("v1,")
    (delivery,) = await_true(
        lambda: [
            one for one in stoker.api.automation("automation-0").deliveries if one.state == "done"
        ]
    )
    assert delivery.outcome.startswith("204")
    assert delivery.attempts == 1


def test_three_failures_within_a_time_pause_the_pool(stoker: Harness, create: Create) -> None:
    create(
        FlowRunStateTrigger(
            states=["Failed"],
            match={"deployment": "fail/test"},
            threshold=3,
            within=60,
            for_each=["pool"],
        ),
        PauseWorkPool(),
    )
    try:
        for _ in range(2):
            stoker.run("fail/test", {"message": "again"})
        assert not stoker.api.pool("default").pool.paused
        stoker.run("fail/test", {"message": "again"})
        await_true(lambda: stoker.api.pool("default").pool.paused)
    finally:
        stoker.api.update_pool("default", PoolUpdate(paused=False))


def test_no_event_within_a_time_sends_a_notification_on_time(
    stoker: Harness, receiver: Receiver, create: Create
) -> None:
    pytest.importorskip("apprise", reason="an extra", exc_type=ImportError)
    create(
        EventTrigger(
            posture=Posture.PROACTIVE,
            after=["batch.begun"],
            expect=["batch.done"],
            within=1,
            for_each=["resource"],
        ),
        SendNotification(
            urls=[f"json://127.0.0.1:{receiver.port}"],
            subject="{{ event.resource.id }} is late",
            body="{{ link }}",
        ),
    )
    begun = time.time()
    for batch in ("one", "two"):
        emit(stoker, "batch.begun", id=batch)
    emit(stoker, "batch.done", id="two")
    (said,) = receiver.await_messages(1)
    assert said["title"] == "one is late"
    assert "/api/events?after=" in said["message"]
    (delivery,) = stoker.api.automation("automation-0").deliveries
    assert 1.0 <= delivery.firing.at - begun < 1.5


def test_an_event_starts_a_run_with_parameters_of_its_own(stoker: Harness, create: Create) -> None:
    create(
        EventTrigger(expect=["file.arrived"], match={"payload.n": "7"}),
        RunDeployment(deployment="doubled/test", parameters={"n": "{{ event.payload.n }}"}),
    )
    emit(stoker, "file.arrived", payload={"n": 8})
    emit(stoker, "file.arrived", payload={"n": 7})
    delivery = await_true(lambda: stoker.api.automation("automation-0").deliveries)[0]
    delivery = await_true(
        lambda: next(
            (o for o in stoker.api.automation("automation-0").deliveries if o.run_id), None
        )
    )
    run = stoker.wait(delivery.run_id)
    assert run.parameters == {"n": 7}
    assert len(stoker.api.automation("automation-0").deliveries) == 1


def test_an_automation_whose_runs_trigger_it_again_comes_to_an_end(
    stoker: Harness, create: Create
) -> None:
    create(
        FlowRunStateTrigger(states=["Failed"], match={"deployment": "fail/test"}),
        RunDeployment(deployment="fail/test", parameters={"message": "for ever"}),
    )
    stoker.run("fail/test", {"message": "first"})
    detail = await_true(
        lambda: (one := stoker.api.automation("automation-0")).automation.suppressed and one
    )
    assert len(detail.deliveries) == MAX_DEPTH
    assert detail.automation.suppressed == 1
    assert "followed one from another" in detail.automation.problem


def test_a_webhook_is_sent_again_until_it_is_taken_under_one_key(
    stoker: Harness, receiver: Receiver, create: Create
) -> None:
    create(EventTrigger(expect=["again"]), CallWebhook(url=receiver.url, secret="hidden-s3cret"))
    receiver.says(500, b"not now, hidden-s3cret")
    emit(stoker, "again")
    receiver.await_messages(1)
    (failed,) = await_true(
        lambda: [one for one in stoker.api.automation("automation-0").deliveries if one.error]
    )
    assert failed.error == "answered 500 Internal Server Error: not now, ****"
    receiver.says(200)
    receiver.await_messages(2)
    first, second = (headers["webhook-id"] for _, headers, _ in receiver.got)
    assert first == second
    (done,) = await_true(
        lambda: [one for one in stoker.api.automation("automation-0").deliveries if one.ended]
    )
    assert (done.attempts, done.error) == (2, "")
    everything = msgspec.json.encode(stoker.api.automation("automation-0"))
    assert b"hidden-s3cret" not in everything


def test_what_a_flow_emits_is_told_once_and_in_its_order(stoker: Harness) -> None:
    run = stoker.run("emit-events/test")

    def found() -> list[Event]:
        return stoker.api.events(filters=[("run", run.id)]).events[::-1]

    events = await_true(lambda: found() if found()[-1].event == "flow-run.Completed" else None)
    assert [event.event for event in events] == [
        "flow-run.Scheduled",
        "flow-run.Pending",
        "flow-run.Running",
        "step.done",
        "step.done",
        "flow-run.Completed",
    ]
    one = events[3]
    assert one.deployment == "emit-events/test"
    assert (one.payload, one.resource) == ({"n": 0}, Resource("step", "0"))
    assert events[-1].payload["type"] == "COMPLETED"


def test_a_follower_sees_what_it_asked_for_and_goes_on_where_it_was(stoker: Harness) -> None:
    (last,) = stoker.api.events(limit=1).events
    emit(stoker, "follow.first")
    got: list[Event] = []
    enough = threading.Event()

    def read() -> None:
        with suppress(StokerError):
            for event in follow(stoker.url, None, after=last.id, filters=[("event", "follow.*")]):
                got.append(event)
                if event.event == "follow.last":
                    enough.set()
                    return

    thread = threading.Thread(target=read)
    thread.start()
    emit(stoker, "other")
    for n in range(50):
        emit(stoker, "follow.more", payload={"n": n})
    emit(stoker, "follow.last")
    assert enough.wait(10)
    thread.join(10)
    names = [event.event for event in got]
    assert names == ["follow.first", *["follow.more"] * 50, "follow.last"]
    ids = [event.id for event in got]
    assert ids == sorted(ids)


def test_the_command_line_creates_shows_tries_and_deletes(
    stoker: Harness, receiver: Receiver, tmp_path: Any
) -> None:
    file = tmp_path / "automations.yaml"
    file.write_text(
        f"""
automations:
  - name: by-file
    trigger: {{type: work-pool-unhealthy, match: {{pool: "def*"}}}}
    actions:
      - {{type: call-webhook, url: "{receiver.url}/hidden", secret: s3cret}}
"""
    )
    assert "is there" in stoker.cli("automation", "create", str(file)).stdout
    try:
        assert "work-pool.unhealthy" in stoker.cli("automation", "ls").stdout
        assert "204" in stoker.cli("automation", "test", "by-file").stdout
        assert receiver.await_messages(1)[0]["event"]["event"] == "work-pool.unhealthy"
        shown = stoker.cli("automation", "inspect", "by-file", "--json").stdout
        assert "hidden" not in shown
        assert "s3cret" not in shown
        assert json.loads(shown)["automation"]["name"] == "by-file"
        assert "paused" in stoker.cli("automation", "pause", "by-file").stdout
        assert "fires again" in stoker.cli("automation", "resume", "by-file").stdout
        assert "is there" in stoker.cli("automation", "create", str(file), "--replace").stdout
    finally:
        stoker.cli("automation", "delete", "by-file")
    assert "automation.deleted" in stoker.cli("event", "ls", "--event", "automation.*").stdout
    listed = stoker.cli("event", "stream", "--after", "0", "--limit", "2", "--json").stdout
    assert [json.loads(line)["id"] for line in listed.splitlines()] == [1, 2]


def test_a_run_is_cancelled_by_an_automation(stoker: Harness, gate: Gate, create: Create) -> None:
    create(EventTrigger(expect=["flow-run.Running"], match={"tags": "doomed"}), CancelFlowRun())
    run = stoker.start("say-and-wait/test", {"gate": gate.path}, tags=["doomed"])
    assert stoker.wait(run).state.name == "Cancelled"
