"""boto3's manner without a socket."""

from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from stoker.testing.ecs import NETWORK, LocalClient


@pytest.fixture
def client(ecs) -> Any:
    return LocalClient(ecs)


def run(client: Any, **changes: Any) -> Any:
    request = {"taskDefinition": "f", "launchType": "FARGATE", "networkConfiguration": NETWORK}
    return client.run_task(**request | changes)


def test_answers_are_boto_s(ecs, client):
    [task] = run(client)["tasks"]
    assert isinstance(task["createdAt"], datetime)
    ecs.after(ecs.cold)
    [task] = client.describe_tasks(tasks=[task["taskArn"]])["tasks"]
    assert task["startedAt"].timestamp() == ecs.time
    assert [call.parameters.get("clientToken") for call in ecs.calls.of("RunTask")] != [None]


def test_errors_are_botocore_s(ecs, client):
    with pytest.raises(ClientError) as caught:
        run(client, count=11)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"
    assert caught.value.operation_name == "RunTask"
    ecs.faults.inject("answer_lost")
    with pytest.raises(ConnectionClosedError):
        run(client, clientToken="t")
    [task] = run(client, clientToken="t")["tasks"]
    assert [task["taskArn"]] == [found.arn for found in ecs.tasks()]
