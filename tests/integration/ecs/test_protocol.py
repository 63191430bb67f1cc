"""Real boto3 on the served emulator: shapes, errors, retries."""

import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from stoker.testing.ecs import FakeRunner

MODELS = {
    name: ServiceModel(Loader().load_service_model(name, "service-2")) for name in ("ecs", "logs")
}
TARGETS = {"ecs": "AmazonEC2ContainerServiceV20141113", "logs": "Logs_20140328"}
KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "long": int,
    "double": (int, float),
    "timestamp": (int, float),
    "boolean": bool,
}


def strangers(shape: Any, value: Any, path: str) -> list[str]:
    """What an answer has that the shape of botocore's model has not."""
    if shape.type_name == "structure":
        found = [f"{path}.{name}" for name in value if name not in shape.members]
        for name, member in shape.members.items():
            if value.get(name) is not None:
                found += strangers(member, value[name], f"{path}.{name}")
        return found
    if shape.type_name == "list":
        return [x for item in value for x in strangers(shape.member, item, f"{path}[]")]
    if shape.type_name == "map":
        return [x for item in value.values() for x in strangers(shape.value, item, f"{path}{{}}")]
    known = isinstance(value, KINDS[shape.type_name])
    if known and getattr(shape, "enum", None):
        known = value in shape.enum
    return [] if known else [f"{path} = {value!r}"]


def post(url: str, service: str, action: str, request: Any) -> Any:
    """The raw answer, before botocore drops what it does not know."""
    sent = urllib.request.Request(
        url,
        json.dumps(request).encode(),
        {"x-amz-target": f"{TARGETS[service]}.{action}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(sent) as answer:
        return json.load(answer)


def test_answers_have_the_shapes_of_the_model(emulate: Callable[..., Any]):
    account = emulate(runner=FakeRunner())
    definition = account.define("true")
    tags = [{"key": "team", "value": "data"}]
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    run = {
        "taskDefinition": definition,
        "launchType": "FARGATE",
        "networkConfiguration": network,
        "tags": tags,
        "overrides": {"containerOverrides": [{"name": "main", "command": ["x"]}]},
    }
    service = {"serviceName": "s", "desiredCount": 1, **run}
    del service["overrides"]
    [arn] = account.run()
    account.await_status(arn, "RUNNING")
    account.ecs.create_service(**service)
    [other] = account.run()
    account.ecs.stop_task(task=other)
    account.await_status(other, "STOPPED")
    owned = account.ecs.list_tasks(serviceName="s")["taskArns"]
    exchanges: list[tuple[str, str, dict[str, Any]]] = [
        ("ecs", "RunTask", run),
        ("ecs", "DescribeTasks", {"tasks": [arn, other, "missing"], "include": ["TAGS"]}),
        ("ecs", "StopTask", {"task": arn}),
        ("ecs", "ListTasks", {}),
        ("ecs", "CreateCluster", {"clusterName": "c", "tags": tags}),
        ("ecs", "DescribeClusters", {"clusters": ["c", "missing"], "include": ["TAGS"]}),
        ("ecs", "ListClusters", {}),
        ("ecs", "DescribeTaskDefinition", {"taskDefinition": definition, "include": ["TAGS"]}),
        ("ecs", "ListTaskDefinitions", {}),
        ("ecs", "DescribeServices", {"services": ["s", "missing"], "include": ["TAGS"]}),
        ("ecs", "UpdateService", {"service": "s", "desiredCount": 2}),
        ("ecs", "ListServices", {}),
        ("ecs", "UpdateTaskProtection", {"tasks": [*owned, other], "protectionEnabled": True}),
        ("ecs", "GetTaskProtection", {"tasks": [*owned, other, "missing"]}),
        ("ecs", "TagResource", {"resourceArn": definition, "tags": tags}),
        ("ecs", "ListTagsForResource", {"resourceArn": definition}),
        ("ecs", "UntagResource", {"resourceArn": definition, "tagKeys": ["team"]}),
        ("ecs", "DeleteService", {"service": "s", "force": True}),
        ("ecs", "DeregisterTaskDefinition", {"taskDefinition": definition}),
        ("logs", "DescribeLogGroups", {}),
        ("logs", "DescribeLogStreams", {"logGroupName": "/hosts"}),
        ("logs", "FilterLogEvents", {"logGroupName": "/hosts"}),
    ]
    for name, action, request in exchanges:
        answer = post(account.emulator.endpoint_url, name, action, request)
        shape = MODELS[name].operation_model(action).output_shape
        assert strangers(shape, answer, action) == []


def test_errors_are_those_of_the_model(account):
    with pytest.raises(account.ecs.exceptions.ClusterNotFoundException):
        account.ecs.list_tasks(cluster="nowhere")
    account.define("true")
    account.run(clientToken="t")
    with pytest.raises(account.ecs.exceptions.ConflictException) as caught:
        account.run(clientToken="t", count=2)
    launched = [task.arn for task in account.emulator.ecs.tasks()]
    assert caught.value.response["resourceIds"] == launched
    account.emulator.faults.inject("throttled")
    with pytest.raises(ClientError) as throttled:
        account.ecs.list_tasks()
    answer = throttled.value.response
    assert answer["Error"]["Code"] == "ThrottlingException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert account.emulator.calls.throttled() == 1


def test_a_lost_answer_closes_the_connection_and_boto_s_own_retry_launches_nothing_more(account):
    account.define("sleep", "60")
    account.emulator.faults.inject("answer_lost", action="RunTask")
    with pytest.raises(ConnectionClosedError):
        account.run()
    assert len(account.emulator.ecs.tasks()) == 1
    account.emulator.faults.inject("answer_lost", action="RunTask")
    retrying = account.emulator.client("ecs", config=Config(retries={"total_max_attempts": 3}))
    account.ecs = retrying
    account.run()
    assert len(account.emulator.ecs.tasks()) == 2
    assert account.emulator.calls.counts["RunTask"] == 3


def test_plain_clients_find_the_emulator_and_moto_by_the_environment(
    emulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    account = emulate(moto=True)
    for name, value in account.emulator.environ.items():
        monkeypatch.setenv(name, value)
    session = Session()
    assert session.client("ecs").list_clusters()["clusterArns"]
    assert session.client("logs").describe_log_groups()["logGroups"] == []
    assert session.client("ec2").describe_subnets()["Subnets"]
    assert session.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert account.emulator.calls.counts == {"ListClusters": 1}


def test_logs_are_read_in_pages(account):
    account.define("sh", "-c", "for i in 1 2 3 4 5; do echo $i; done")
    [arn] = account.run()
    account.await_status(arn, "STOPPED")
    stream = {"logGroupName": "/hosts", "logStreamName": f"pool/main/{arn.rpartition('/')[2]}"}
    read: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = account.logs.get_log_events(**stream, limit=2, startFromHead=True, **token)
        read += [event["message"] for event in page["events"]]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert read == ["1", "2", "3", "4", "5"]
    last = account.logs.get_log_events(**stream, limit=2)
    assert [event["message"] for event in last["events"]] == ["4", "5"]
    with pytest.raises(account.logs.exceptions.ResourceNotFoundException):
        account.logs.get_log_events(logGroupName="/hosts", logStreamName="missing")


PROTECT = """
import json, os, signal, urllib.request
url = os.environ["ECS_AGENT_URI"] + "/task-protection/v1/state"
def ask(**change):
    body = json.dumps(change).encode() if change else None
    request = urllib.request.Request(url, body, method="PUT" if change else "GET")
    with urllib.request.urlopen(request) as answer:
        print(answer.read().decode(), flush=True)
ask()
ask(ProtectionEnabled=True, ExpiresInMinutes=60)
print("protected", flush=True)
signal.pause()
"""


def said(account: Any) -> str:
    """The events of the service."""
    [service] = account.ecs.describe_services(services=["s"])["services"]
    return "".join(event["message"] for event in service["events"])


def test_a_task_protects_itself_from_scale_in(account):
    account.define("python", "-c", PROTECT)
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    account.ecs.create_service(
        serviceName="s",
        taskDefinition="f",
        launchType="FARGATE",
        networkConfiguration=network,
        desiredCount=1,
    )
    [arn] = account.emulator.until(lambda: account.ecs.list_tasks(serviceName="s")["taskArns"])
    account.await_line(arn, "protected")
    before, after = (json.loads(line)["protection"] for line in account.lines(arn)[:2])
    assert before == {"ProtectionEnabled": False, "TaskArn": arn}
    assert after["ProtectionEnabled"]
    assert after["ExpirationDate"].endswith("Z")
    account.ecs.update_service(service="s", desiredCount=0)
    account.emulator.until(lambda: "number of protected tasks" in said(account))
    assert account.task(arn)["desiredStatus"] == "RUNNING"
    account.ecs.update_task_protection(cluster="default", tasks=[arn], protectionEnabled=False)
    account.await_status(arn, "STOPPED")


def test_an_answer_that_does_not_come_is_the_client_s_timeout(emulate: Callable[..., Any]):
    account = emulate(runner=FakeRunner(), lost_after=30.0)
    account.define("true")
    account.emulator.faults.inject("answer_lost", action="RunTask")
    account.ecs = account.emulator.client(
        "ecs", config=Config(read_timeout=0.2, retries={"total_max_attempts": 1})
    )
    with pytest.raises(ReadTimeoutError):
        account.run()
    assert len(account.emulator.ecs.tasks()) == 1


def test_many_callers_at_once_launch_each_once(emulate: Callable[..., Any]):
    account = emulate(runner=FakeRunner(), quota_scale=100.0)
    account.define("true")
    account.ecs = account.emulator.client("ecs", config=Config(max_pool_connections=16))
    with ThreadPoolExecutor(16) as pool:
        # Each token comes twice, at about the same time.
        launched = list(pool.map(lambda n: account.run(clientToken=f"t{n // 2}"), range(64)))
    assert len({arn for [arn] in launched}) == 32
    assert launched[::2] == launched[1::2]
    account.emulator.until(lambda: len(account.emulator.ecs.tasks("RUNNING")) == 32)
