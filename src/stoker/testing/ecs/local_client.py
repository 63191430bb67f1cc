"""A client in boto3's manner for an account without a server, on whatever clock."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, cast

from stoker.testing.ecs.errors import AnswerLost, AwsError
from stoker.testing.ecs.model.ecs import Ecs

_TAKE_TOKENS = ("RunTask", "CreateService")


class LocalClient:
    """Calls an `Ecs` as ``boto3.client("ecs")`` calls AWS: without a socket and without retries.

    Answers have dates where boto3's have them, errors are botocore's: `ClientError`, and
    `ConnectionClosedError` where an answer is lost. As botocore does, it makes a client token for a
    call that takes one and has none.

    Args:
        ecs: Whom it calls.

    Example:
        >>> client = LocalClient(VirtualEcs())
        >>> client.list_clusters()["clusterArns"]
        ['arn:aws:ecs:us-east-1:123456789012:cluster/default']
    """

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        action = "".join(word.capitalize() for word in name.split("_"))

        def call(**parameters: Any) -> dict[str, Any]:
            return self._call(action, parameters)

        return call

    def _call(self, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
        errors: Any = import_module("botocore.exceptions")
        if action in _TAKE_TOKENS:
            parameters.setdefault("clientToken", self._ecs.world.new_uuid())
        try:
            answer = self._ecs.call(action, parameters)
        except AwsError as error:
            response = {
                "Error": {"Code": error.code, "Message": error.message},
                "ResponseMetadata": {"HTTPStatusCode": error.status, "RetryAttempts": 0},
                **error.fields,
            }
            raise errors.ClientError(response, action) from None
        except AnswerLost:
            raise errors.ConnectionClosedError(endpoint_url="emulated") from None
        return {name: _dated(name, value) for name, value in answer.items()} | {
            "ResponseMetadata": {"HTTPStatusCode": 200, "RetryAttempts": 0}
        }


def _dated(name: str, value: Any) -> Any:
    if isinstance(value, float) and (name.endswith("At") or name == "expirationDate"):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        return {key: _dated(key, member) for key, member in found.items()}
    if isinstance(value, list):
        return [_dated(name, item) for item in cast("list[Any]", value)]
    return value
