"""The way of a task, on virtual time."""

import pytest

from stoker.testing.ecs import AwsError, Faults, Quantiles


def test_from_provisioning_to_running(make_ecs):
    ecs = make_ecs(provisioning=0.4)
    arn = ecs.run_one()
    seen = []
    for _ in range(11):
        [task] = ecs.describe(arn)
        seen.append(task["lastStatus"])
        ecs.after(1.0)
    assert seen == ["PROVISIONING"] * 4 + ["PENDING"] * 6 + ["RUNNING"]
    [task] = ecs.describe(arn)
    started = task["createdAt"] + ecs.cold
    assert (task["startedAt"], task["desiredStatus"]) == (pytest.approx(started), "RUNNING")
    assert task["containers"][0]["lastStatus"] == "RUNNING"


def test_a_stop_is_sigterm_then_sigkill(make_ecs):
    ecs = make_ecs(deactivating=2.0, deprovisioning=3.0)
    ecs.fake.grace = 1000.0
    arn = ecs.run_one()
    ecs.after(ecs.cold)
    ecs.call("StopTask", {"task": arn, "reason": "no longer wanted"})
    seen = []
    for _ in range(37):
        [task] = ecs.describe(arn)
        seen.append(task["lastStatus"])
        ecs.after(1.0)
    assert (
        seen == ["DEACTIVATING"] * 2 + ["STOPPING"] * 30 + ["DEPROVISIONING"] * 3 + ["STOPPED"] * 2
    )
    [task] = ecs.describe(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "no longer wanted")
    assert task["containers"][0]["exitCode"] == 137


def test_stop_timeout_of_the_container_counts(ecs):
    ecs.fake.grace = 1000.0
    ecs.define(
        containerDefinitions=[{"name": "main", "image": "i", "command": ["x"], "stopTimeout": 5}]
    )
    arn = ecs.run_one()
    ecs.after(ecs.cold)
    ecs.call("StopTask", {"task": arn})
    ecs.after(4.9)
    assert ecs.describe(arn)[0]["lastStatus"] == "STOPPING"
    ecs.after(0.2)
    assert ecs.describe(arn)[0]["lastStatus"] == "STOPPED"


def test_a_stop_before_the_start_runs_nothing(ecs):
    arn = ecs.run_one()
    ecs.after(ecs.cold / 2)
    ecs.call("StopTask", {"task": arn})
    ecs.after(ecs.cold)
    [task] = ecs.describe(arn)
    assert task["lastStatus"] == "STOPPED"
    assert "startedAt" not in task
    assert "exitCode" not in task["containers"][0]
    assert not ecs.fake.running


def test_the_end_of_an_essential_container_is_the_task_s_and_the_others_follow(ecs):
    containers = [
        {"name": "main", "image": "i", "command": ["x"]},
        {"name": "side", "image": "i", "command": ["y"], "essential": False},
    ]
    ecs.define(containerDefinitions=containers)
    ecs.fake.lifetime = lambda container: 7.0 if container.name == "main" else None
    ecs.fake.exit_code = 3
    arn = ecs.run_one()
    ecs.after(ecs.cold + 7)
    [task] = ecs.describe(arn)
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPED", "EssentialContainerExited")
    assert task["stoppedReason"] == "Essential container in task exited"
    codes = {container["name"]: container["exitCode"] for container in task["containers"]}
    assert codes == {"main": 3, "side": 0}


def test_stopped_tasks_are_listed_as_such_and_forgotten_after_an_hour(ecs):
    arn = ecs.run_one(startedBy="pool")
    ecs.after(ecs.cold)
    assert ecs.call("ListTasks", {"startedBy": "pool"})["taskArns"] == [arn]
    ecs.call("StopTask", {"task": arn})
    assert ecs.call("ListTasks", {"startedBy": "pool"})["taskArns"] == []
    stopped = ecs.call("ListTasks", {"startedBy": "pool", "desiredStatus": "STOPPED"})
    assert stopped["taskArns"] == [arn]
    ecs.after(3601)
    answer = ecs.call("DescribeTasks", {"tasks": [arn]})
    assert answer == {"tasks": [], "failures": [{"arn": arn, "reason": "MISSING"}]}
    with pytest.raises(AwsError, match="The referenced task was not found"):
        ecs.call("StopTask", {"task": arn})


def test_a_new_task_is_missing_for_a_moment_and_can_be_stopped(make_ecs):
    ecs = make_ecs(visible_after=2.0)
    first, second = (task["taskArn"] for task in ecs.run(count=2)["tasks"])
    assert ecs.describe(first) == []
    assert ecs.call("ListTasks", {})["taskArns"] == []
    ecs.call("StopTask", {"task": second})
    ecs.after(2.0)
    assert ecs.describe(first)
    assert ecs.call("ListTasks", {})["taskArns"] == [first]


def test_lists_come_in_pages(ecs):
    arns = [task["taskArn"] for _ in range(3) for task in ecs.run(count=10)["tasks"]]
    listed, token = [], None
    while True:
        request = {"maxResults": 12} | ({"nextToken": token} if token else {})
        answer = ecs.call("ListTasks", request)
        listed += answer["taskArns"]
        token = answer.get("nextToken")
        if token is None:
            break
    assert listed == arns
    with pytest.raises(AwsError, match="at most 100"):
        ecs.call("DescribeTasks", {"tasks": ["x"] * 101})


def test_cold_starts_follow_their_quantiles_and_their_seed(make_ecs):
    def starts(seed: int) -> list[float]:
        cold = Quantiles({0.0: 10.0, 0.5: 20.0, 0.9: 30.0, 1.0: 90.0})
        ecs = make_ecs(cold_start=cold, seed=seed)
        for _ in range(10):
            ecs.run(count=10)
        ecs.after(100)
        return sorted(t.started_at - t.created_at for t in ecs.tasks("RUNNING") if t.started_at)

    drawn = starts(1)
    assert len(drawn) == 100
    assert drawn[0] >= 10
    assert 18 < drawn[50] < 22.5
    assert 24 < drawn[90] < 60
    assert starts(1) == drawn
    assert starts(2) != drawn


def test_a_spot_task_is_interrupted(make_ecs):
    ecs = make_ecs(spot_notice=120.0)
    ecs.define(
        containerDefinitions=[{"name": "main", "image": "i", "command": ["x"], "stopTimeout": 120}]
    )
    ecs.fake.grace = 90.0
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    arn = ecs.run_one(launchType=None, capacityProviderStrategy=strategy)
    ecs.after(ecs.cold)
    ecs.interrupt(arn)
    [task] = ecs.describe(arn)
    assert (task["lastStatus"], task["stopCode"]) == ("STOPPING", "SpotInterruption")
    assert task["capacityProviderName"] == "FARGATE_SPOT"
    ecs.after(90.0)
    [task] = ecs.describe(arn)
    assert (task["lastStatus"], task["containers"][0]["exitCode"]) == ("STOPPED", 0)
    assert task["stoppedReason"] == "Your Spot Task was interrupted."


def test_thousands_of_tasks_take_no_time(make_ecs):
    ecs = make_ecs(quota_scale=1000.0, faults=Faults({"never_starts": 0.01}))
    for _ in range(200):
        ecs.run(count=10)
    ecs.after(ecs.cold)
    assert 1960 < len(ecs.tasks("RUNNING")) < 2000
    assert ecs.calls.counts["RunTask"] == 200


def test_a_task_is_killed_for_its_memory(ecs):
    arn = ecs.run_one()
    ecs.after(ecs.cold)
    ecs.kill(arn, out_of_memory=True)
    [task] = ecs.describe(arn)
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["containers"][0]["exitCode"] == 137
    assert task["containers"][0]["reason"] == (
        "OutOfMemoryError: Container killed due to memory usage"
    )
