"""What goes wrong, and what it looks like to the caller."""

from typing import Any

import pytest

from stoker.testing.ecs import AnswerLost, AwsError, Faults


def stopped(ecs: Any, fault: str) -> dict:
    ecs.faults.inject(fault)
    arn = ecs.run_one()
    ecs.after(ecs.cold)
    [task] = ecs.describe(arn)
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "TaskFailedToStart")
    assert not ecs.fake.running
    # It strikes once.
    other = ecs.run_one()
    ecs.after(ecs.cold)
    assert ecs.describe(other)[0]["lastStatus"] == "RUNNING"
    return task


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cannot_pull", "CannotPullContainerError: "),
        ("capacity_lost", "Capacity is unavailable at this time. Please try again later or in a"),
        ("no_addresses", "InsufficientFreeAddressesInSubnet"),
    ],
)
def test_tasks_that_stop_before_they_start(ecs, fault, reason):
    assert reason in stopped(ecs, fault)["stoppedReason"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no_memory", "RESOURCE:MEMORY"),
        ("no_cpu", "RESOURCE:CPU"),
        ("no_agent", "AGENT"),
        ("no_capacity", "Capacity is unavailable at this time."),
    ],
)
def test_tasks_that_are_not_placed(ecs, fault, reason):
    ecs.faults.inject(fault, times=2)
    answer = ecs.run(count=3)
    assert len(answer["tasks"]) == 1
    assert all(failure["reason"].startswith(reason) for failure in answer["failures"])
    assert len(answer["failures"]) == 2


def test_an_answer_that_is_lost_was_carried_out(ecs):
    ecs.faults.inject("answer_lost", action="RunTask")
    with pytest.raises(AnswerLost):
        ecs.run(clientToken="t")
    [task] = ecs.tasks()
    assert ecs.run(clientToken="t")["tasks"][0]["taskArn"] == task.arn
    assert [call.error for call in ecs.calls.of("RunTask")] == ["AnswerLost", None]
    ecs.faults.inject("request_lost", action="RunTask")
    with pytest.raises(AnswerLost):
        ecs.run()
    assert len(ecs.tasks()) == 1


def test_a_task_vanishes(ecs):
    ecs.faults.inject("vanishes")
    arn = ecs.run_one()
    assert ecs.describe(arn)
    ecs.after(ecs.cold)
    assert ecs.describe(arn) == []
    assert not ecs.fake.running


def test_a_task_never_starts_and_a_mute_one_runs_nothing(ecs):
    ecs.faults.inject("never_starts")
    stuck = ecs.run_one()
    ecs.after(1000 * ecs.cold)
    ecs.faults.inject("mute")
    mute = ecs.run_one()
    ecs.after(ecs.cold)
    assert [task["lastStatus"] for task in ecs.describe(stuck, mute)] == ["PENDING", "RUNNING"]
    assert not ecs.fake.running
    for arn in (stuck, mute):
        ecs.call("StopTask", {"task": arn})
    assert [task["lastStatus"] for task in ecs.describe(stuck, mute)] == ["STOPPED"] * 2


@pytest.mark.parametrize(
    ("fault", "code", "status", "says"),
    [
        ("access_denied", "AccessDeniedException", 400, "not authorized to perform: ecs:RunTask"),
        ("server_error", "ServerException", 500, ""),
        ("throttled", "ThrottlingException", 400, "Rate exceeded"),
        ("ec2_throttled", "InvalidParameterException", 400, "(ErrorCode: RequestLimitExceeded)"),
    ],
)
def test_calls_that_fail(ecs, fault, code, status, says):
    ecs.faults.inject(fault, action="RunTask")
    with pytest.raises(AwsError) as caught:
        ecs.run(clientToken="t")
    assert (caught.value.code, caught.value.status) == (code, status)
    assert says in caught.value.message
    assert not ecs.tasks()
    assert ecs.run(clientToken="t")["tasks"]


def test_a_stop_that_fails_leaves_the_task_running(ecs):
    arn = ecs.run_one()
    ecs.after(ecs.cold)
    ecs.faults.inject("server_error", action="StopTask")
    with pytest.raises(AwsError, match="ServerException"):
        ecs.call("StopTask", {"task": arn})
    assert ecs.describe(arn)[0]["lastStatus"] == "RUNNING"


def test_faults_at_random_follow_their_seed():
    def struck(seed: int) -> list[bool]:
        faults = Faults({"cannot_pull": 0.3}, seed=seed)
        return [faults.strikes("cannot_pull") for _ in range(200)]

    assert 40 < sum(struck(1)) < 80
    assert struck(1) == struck(1) != struck(2)
    with pytest.raises(ValueError, match="there are access_denied"):
        Faults().inject("typo")  # type: ignore[arg-type]
