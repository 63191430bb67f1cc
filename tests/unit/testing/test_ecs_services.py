"""Services: the scheduler keeps what is wanted, and leaves the protected alone."""

from typing import Any

import pytest

from stoker.testing.ecs import AwsError, VirtualEcs


def steady(ecs: Any, count: int) -> None:
    """A service with so many running tasks."""
    ecs.service(count)
    ecs.after(3 * ecs.cold)


def arns(ecs: VirtualEcs) -> list[str]:
    return ecs.call("ListTasks", {"serviceName": "s"})["taskArns"]


def test_the_desired_count_is_kept(ecs):
    steady(ecs, 3)
    service = ecs.services()
    assert (service["runningCount"], service["pendingCount"]) == (3, 0)
    messages = [event["message"] for event in service["events"]]
    assert messages[0] == "(service s) has reached a steady state."
    assert messages[1].startswith("(service s) has started 3 tasks: (task ")
    deployment = service["deployments"][0]
    assert ecs.call("ListTasks", {"startedBy": deployment["id"]})["taskArns"] == arns(ecs)
    ecs.call("StopTask", {"task": arns(ecs)[0]})
    assert ecs.services()["runningCount"] == 2
    ecs.after(2 * ecs.cold)
    assert ecs.services()["runningCount"] == 3


def test_scale_out_and_scale_in(ecs):
    steady(ecs, 1)
    ecs.call("UpdateService", {"service": "s", "desiredCount": 5})
    ecs.after(2 * ecs.cold)
    assert ecs.services()["runningCount"] == 5
    ecs.call("UpdateService", {"service": "s", "desiredCount": 1})
    ecs.after(2 * ecs.cold)
    assert ecs.services()["runningCount"] == 1
    stopped = ecs.tasks("STOPPED")
    assert {task.stop_code for task in stopped} == {"ServiceSchedulerInitiated"}
    assert all("Scaling activity initiated by" in (t.stopped_reason or "") for t in stopped)


def test_protected_tasks_stay(ecs):
    steady(ecs, 4)
    kept = arns(ecs)[1:3]
    answer = ecs.call(
        "UpdateTaskProtection",
        {"tasks": kept, "protectionEnabled": True, "expiresInMinutes": 10},
    )
    assert [task["taskArn"] for task in answer["protectedTasks"]] == kept
    ecs.call("UpdateService", {"service": "s", "desiredCount": 1})
    ecs.after(ecs.cold)
    assert arns(ecs) == kept
    assert "number of protected tasks" in "".join(
        event["message"] for event in ecs.services()["events"]
    )
    ecs.call("UpdateTaskProtection", {"tasks": kept[:1], "protectionEnabled": False})
    ecs.after(ecs.cold)
    assert arns(ecs) == kept[1:]
    # It lapses by itself.
    ecs.call("UpdateService", {"service": "s", "desiredCount": 0})
    ecs.after(ecs.cold)
    assert arns(ecs) == kept[1:]
    ecs.after(600)
    assert arns(ecs) == []


def test_standalone_tasks_have_no_protection(ecs):
    arn = ecs.run_one()
    for action, request in (
        ("UpdateTaskProtection", {"tasks": [arn], "protectionEnabled": True}),
        ("GetTaskProtection", {"tasks": [arn]}),
    ):
        answer = ecs.call(action, request)
        assert answer["failures"] == [{"arn": arn, "reason": "TASK_NOT_VALID"}]


def test_a_new_definition_replaces_the_tasks_without_a_gap(ecs):
    steady(ecs, 2)
    old = set(arns(ecs))
    new = ecs.define(memory="1024")["taskDefinitionArn"]
    ecs.call("UpdateService", {"service": "s", "taskDefinition": "f"})
    least = 2
    for _ in range(40):
        ecs.after(1.0)
        least = min(least, ecs.services()["runningCount"])
    assert least == 2
    assert not old & set(arns(ecs))
    assert {task["taskDefinitionArn"] for task in ecs.describe(*arns(ecs))} == {new}
    assert len(ecs.services()["deployments"]) == 1


def test_a_service_that_cannot_start_its_tasks_backs_off(ecs):
    ecs.faults.inject("cannot_pull", times=None)
    ecs.service(1)
    ecs.after(600)
    launched = len(ecs.tasks())
    assert 5 < launched < 25
    messages = [event["message"] for event in ecs.services()["events"]]
    assert any("unable to consistently start tasks" in message for message in messages)
    ecs.faults.clear()
    ecs.after(120)
    assert ecs.services()["runningCount"] == 1


def test_launches_of_services_take_fargate_s_tokens(ecs):
    ecs.service(200)
    ecs.after(1.0)
    assert 119 <= len(arns(ecs) + ecs.call("ListTasks", {"nextToken": "100"})["taskArns"]) <= 121
    ecs.after(4.0 + 2 * ecs.cold)
    assert ecs.services()["runningCount"] == 200


def test_no_capacity_is_an_event(ecs):
    ecs.faults.inject("no_capacity", times=2)
    ecs.service(1)
    ecs.after(3 * ecs.cold)
    assert ecs.services()["runningCount"] == 1
    assert any(
        "was unable to place a task. Reason: Capacity is unavailable" in event["message"]
        for event in ecs.services()["events"]
    )


def test_a_deleted_service_drains(ecs):
    steady(ecs, 2)
    with pytest.raises(AwsError, match="scaled above 0"):
        ecs.call("DeleteService", {"service": "s"})
    assert ecs.call("DeleteService", {"service": "s", "force": True})["service"]["status"] == (
        "DRAINING"
    )
    ecs.after(ecs.cold)
    assert ecs.services()["status"] == "INACTIVE"
    assert ecs.call("ListServices", {})["serviceArns"] == []
    with pytest.raises(AwsError, match="ServiceNotActiveException"):
        ecs.call("UpdateService", {"service": "s", "desiredCount": 1})
    assert ecs.service(1)["status"] == "ACTIVE"


def test_a_name_is_taken_once(ecs):
    first = ecs.service(1, clientToken="t")
    assert ecs.service(1, clientToken="t")["serviceArn"] == first["serviceArn"]
    with pytest.raises(AwsError, match="not idempotent"):
        ecs.service(2)
    with pytest.raises(AwsError, match="ServiceNotFoundException"):
        ecs.call("UpdateService", {"service": "other"})


def test_an_interrupted_task_is_replaced_before_it_has_gone(ecs):
    steady(ecs, 1)
    ecs.fake.grace = 120.0
    [old] = arns(ecs)
    ecs.interrupt(old)
    ecs.after(2 * ecs.cold)
    assert ecs.describe(old)[0]["lastStatus"] == "STOPPING"
    [new] = arns(ecs)
    assert ecs.describe(new)[0]["lastStatus"] == "RUNNING"


def test_a_service_that_backs_off_is_scaled_in_at_once(ecs):
    ecs.service(2)
    ecs.faults.inject("cannot_pull", times=None)
    ecs.after(100)
    ecs.call("UpdateService", {"service": "s", "desiredCount": 0})
    ecs.after(0.1)
    assert arns(ecs) == []
