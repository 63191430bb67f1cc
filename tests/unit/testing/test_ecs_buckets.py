"""The token buckets, at the figures that AWS publishes."""

import pytest

from stoker.testing.ecs import NETWORK, AwsError, VirtualEcs


def allowed(ecs: VirtualEcs, action: str, request: dict, calls: int = 300) -> int:
    """How many calls at one instant are not throttled."""
    taken = 0
    for _ in range(calls):
        try:
            ecs.call(action, request)
        except AwsError as error:
            taken += error.code != "ThrottlingException"
        else:
            taken += 1
    return taken


RUN = {"taskDefinition": "f", "launchType": "FARGATE", "networkConfiguration": NETWORK}


@pytest.mark.parametrize(
    ("action", "request_", "burst", "rate"),
    [
        ("RunTask", RUN, 20, 20),
        ("StopTask", {"task": "x"}, 100, 40),
        ("DescribeTasks", {"tasks": ["x"]}, 100, 20),
        ("ListTasks", {}, 100, 20),
        ("DescribeServices", {"services": ["x"]}, 100, 20),
        ("UpdateService", {"service": "x"}, 50, 5),
        ("DescribeTaskDefinition", {"taskDefinition": "f"}, 50, 20),
        ("DeregisterTaskDefinition", {"taskDefinition": "f:9"}, 19, 1),
        ("CreateCluster", {}, 20, 1),
        ("TagResource", {"resourceArn": "x"}, 20, 10),
        ("UpdateTaskProtection", {"tasks": ["x"]}, 200, 80),
    ],
)
def test_bursts_and_rates(ecs, action, request_, burst, rate):
    assert allowed(ecs, action, request_) == burst
    ecs.after(1.0)
    assert allowed(ecs, action, request_) == rate
    assert ecs.calls.throttled(action) == 600 - burst - rate
    assert ecs.calls.throttled() == ecs.calls.throttled(action)


def test_launches_on_fargate_have_a_bucket_of_their_own(ecs):
    assert allowed(ecs, "RunTask", {**RUN, "count": 10}, calls=12) == 10
    ecs.after(1.0)
    assert allowed(ecs, "RunTask", {**RUN, "count": 10}, calls=12) == 2
    spot = {**RUN, "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
    del spot["launchType"]
    ecs.after(1.0)
    assert allowed(ecs, "RunTask", {**spot, "count": 10}, calls=12) == 10


def test_classes_are_shared_and_scale(make_ecs):
    ecs = make_ecs(quota_scale=0.1)
    assert allowed(ecs, "DescribeTasks", {"tasks": ["x"]}) == 10
    assert allowed(ecs, "ListTasks", {}) == 0
    assert allowed(ecs, "RunTask", RUN) == 2
