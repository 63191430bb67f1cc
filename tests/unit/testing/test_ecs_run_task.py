"""What RunTask takes and refuses, as AWS's reference says."""

from typing import Any

import pytest

from stoker.testing.ecs import NETWORK, AwsError, Instance, VirtualEcs


def refused(ecs: VirtualEcs, **request: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        ecs.run(**request)
    assert not ecs.tasks(), "a refused call launches nothing"
    return caught.value


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        ({"count": 11}, "InvalidParameterException", "Count"),
        ({"count": 0}, "InvalidParameterException", "Count"),
        ({"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "g"}, "ClientException", "TaskDefinition not found."),
        ({"taskDefinition": "f:2"}, "ClientException", "TaskDefinition not found."),
        ({"networkConfiguration": None}, "InvalidParameterException", "must be provided"),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": []}}},
            "InvalidParameterException",
            "subnets",
        ),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]},
            "InvalidParameterException",
            "both a launch type and capacity provider strategy",
        ),
        (
            {
                "launchType": None,
                "capacityProviderStrategy": [{"capacityProvider": "mine", "weight": 1}],
            },
            "InvalidParameterException",
            "mine",
        ),
        ({"startedBy": "x" * 129}, "InvalidParameterException", "128"),
        ({"startedBy": "a b"}, "InvalidParameterException", "letters"),
        ({"clientToken": "x" * 65}, "InvalidParameterException", "64"),
        ({"propagateTags": "SERVICE"}, "InvalidParameterException", "SERVICE"),
        (
            {"overrides": {"containerOverrides": [{"name": "other"}]}},
            "InvalidParameterException",
            "other is not a container",
        ),
        (
            {"overrides": {"containerOverrides": [{"name": "main", "command": ["x" * 8192]}]}},
            "InvalidParameterException",
            "at most 8192",
        ),
        ({"overrides": {"cpu": "256", "memory": "4096"}}, "ClientException", "256 CPU, 4096"),
        ({"launchType": "EC2"}, "InvalidParameterException", "No Container Instances"),
        ({"tags": [{"key": "aws:x", "value": "1"}]}, "InvalidParameterException", "aws:"),
    ],
)
def test_refusals(make_ecs, request_, code, says):
    error = refused(make_ecs(), **request_)
    assert error.code == code
    assert says in error.message
    assert error.status == 400


def test_overrides_of_just_8192_characters_are_taken(ecs):
    empty = len('{"containerOverrides":[{"name":"main","command":[""]}]}')
    command = ["x" * (8192 - empty)]
    overrides = {"containerOverrides": [{"name": "main", "command": command}]}
    assert ecs.run(overrides=overrides)["tasks"]


@pytest.mark.parametrize(
    ("cpu", "memory", "there_is"),
    [
        ("256", "512", True),
        ("256", "3072", False),
        ("1 vCPU", "2 GB", True),
        ("1024", "1024", False),
        ("16384", "122880", True),
        ("300", "512", False),
    ],
)
def test_sizes_of_fargate(ecs, cpu, memory, there_is):
    if there_is:
        assert ecs.define(cpu=cpu, memory=memory)["revision"] == 2
    else:
        with pytest.raises(AwsError, match="No Fargate configuration exists"):
            ecs.define(cpu=cpu, memory=memory)


def test_a_client_token_launches_once_for_24_hours(ecs):
    first = ecs.run(count=3, clientToken="once", startedBy="pool")
    again = ecs.run(count=3, clientToken="once", startedBy="pool")
    arns = [task["taskArn"] for task in first["tasks"]]
    assert [task["taskArn"] for task in again["tasks"]] == arns
    assert len(ecs.tasks()) == 3
    with pytest.raises(AwsError) as caught:
        ecs.run(count=2, clientToken="once", startedBy="pool")
    assert caught.value.code == "ConflictException"
    assert caught.value.fields == {"resourceIds": arns}
    ecs.after(24 * 3600.0)
    assert ecs.run(count=3, clientToken="once", startedBy="pool")["tasks"][0]["taskArn"] not in arns


def test_an_inactive_definition_launches_nothing_and_the_family_means_its_newest_active_one(ecs):
    second = ecs.define(memory="1024")
    assert ecs.run()["tasks"][0]["taskDefinitionArn"] == second["taskDefinitionArn"]
    ecs.call("DeregisterTaskDefinition", {"taskDefinition": second["taskDefinitionArn"]})
    with pytest.raises(AwsError, match="inactive"):
        ecs.run(taskDefinition="f:2")
    assert ecs.run()["tasks"][0]["taskDefinitionArn"].endswith("/f:1")
    listed = ecs.call("ListTaskDefinitions", {"familyPrefix": "f"})["taskDefinitionArns"]
    assert [arn.rpartition("/")[2] for arn in listed] == ["f:1"]


def test_instances_hold_what_fits_and_the_rest_is_among_the_failures(make_ecs):
    ecs = make_ecs(instances=(Instance(cpu=512, memory=4096), Instance(cpu=4096, memory=600)))
    answer = ecs.run(launchType="EC2", count=5)
    assert len(answer["tasks"]) == 3
    assert [failure["reason"] for failure in answer["failures"]] == ["RESOURCE:MEMORY"] * 2
    for arn in {task["containerInstanceArn"] for task in answer["tasks"]}:
        held = ecs.call("ListTasks", {"containerInstance": arn})["taskArns"]
        assert held
    ecs.call("StopTask", {"task": answer["tasks"][0]["taskArn"]})
    assert len(ecs.run(launchType="EC2", count=2)["tasks"]) == 1


def test_the_vcpu_quota_is_a_failure(make_ecs):
    ecs = make_ecs(vcpu_quota=0.5)
    answer = ecs.run(count=3)
    assert len(answer["tasks"]) == 2
    assert "number of vCPUs" in answer["failures"][0]["reason"]


def test_tags_of_the_definition_reach_tasks_where_they_are_propagated(ecs):
    ecs.define(tags=[{"key": "team", "value": "data"}, {"key": "pool", "value": "none"}])
    tags = [{"key": "pool", "value": "warm"}]
    arn = ecs.run_one(propagateTags="TASK_DEFINITION", tags=tags)
    expected = [{"key": "team", "value": "data"}, *tags]
    assert ecs.call("ListTagsForResource", {"resourceArn": arn})["tags"] == expected
    assert ecs.describe(arn)[0]["tags"] == []
    [shown] = ecs.call("DescribeTasks", {"tasks": [arn], "include": ["TAGS"]})["tasks"]
    assert shown["tags"] == expected


def test_network_configuration_is_awsvpc_s_alone(make_ecs):
    ecs = make_ecs(instances=(Instance(),))
    ecs.define(networkMode="bridge", requiresCompatibilities=["EC2"])
    with pytest.raises(AwsError, match="not valid for the given networkMode"):
        ecs.run(launchType="EC2", networkConfiguration=NETWORK)
    with pytest.raises(AwsError, match="does not support launch_type FARGATE"):
        ecs.run(networkConfiguration=None)


def test_tags_that_ecs_manages_name_the_cluster(ecs):
    arn = ecs.run_one(enableECSManagedTags=True)
    tags = ecs.call("ListTagsForResource", {"resourceArn": arn})["tags"]
    assert tags == [{"key": "aws:ecs:clusterName", "value": "default"}]
    added = [{"key": "team", "value": "data"}]
    ecs.call("TagResource", {"resourceArn": arn, "tags": added})
    assert ecs.call("ListTagsForResource", {"resourceArn": arn})["tags"] == [*tags, *added]
