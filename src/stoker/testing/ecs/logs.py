"""CloudWatch Logs, as far as containers and their readers need it.

Groups and streams, ``GetLogEvents`` and ``FilterLogEvents`` with tokens, in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from stoker.testing.ecs.errors import AwsError

Json = dict[str, Any]
_PAGE = 10_000


@dataclass(slots=True)
class LogStream:
    """One stream: milliseconds since the epoch and line, in order."""

    created: int
    events: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])


class Logs:
    """All log groups of the account.

    Args:
        clock: Seconds since the epoch.
        arn: The start of every ARN, up to and with the account.
    """

    def __init__(self, clock: Callable[[], float], arn: str) -> None:
        self._clock = clock
        self._arn = arn
        self._lock = Lock()
        self._created: dict[str, int] = {}
        self.groups: dict[str, dict[str, LogStream]] = {}

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def create_group(self, name: str) -> None:
        """Create a group, if it is not there."""
        with self._lock:
            self._created.setdefault(name, self._now())
            self.groups.setdefault(name, {})

    def create_stream(self, group: str, stream: str) -> None:
        """Create a stream, if it is not there; the log driver does so as a container starts."""
        with self._lock:
            self.groups.setdefault(group, {}).setdefault(stream, LogStream(self._now()))

    def write(self, group: str, stream: str, line: str) -> None:
        """Append a line; the stream is created for it."""
        with self._lock:
            streams = self.groups.setdefault(group, {})
            found = streams.setdefault(stream, LogStream(self._now()))
            found.events.append((self._now(), line))

    def lines(self, group: str, stream: str) -> list[str]:
        """The lines of a stream."""
        with self._lock:
            found = self.groups.get(group, {}).get(stream)
            return [line for _, line in found.events] if found else []

    def call(self, action: str, params: Json) -> Json:
        """Answer an action of the API.

        Raises:
            AwsError: It is refused.
        """
        handler = {
            "CreateLogGroup": self._create_log_group,
            "CreateLogStream": self._create_log_stream,
            "DescribeLogGroups": self._describe_log_groups,
            "DescribeLogStreams": self._describe_log_streams,
            "GetLogEvents": self._get_log_events,
            "FilterLogEvents": self._filter_log_events,
        }.get(action)
        if handler is None:
            raise AwsError("UnknownOperationException", f"the emulator has no Logs.{action}")
        with self._lock:
            return handler(params)

    def _create_log_group(self, params: Json) -> Json:
        if params["logGroupName"] in self.groups:
            raise AwsError(
                "ResourceAlreadyExistsException", "The specified log group already exists"
            )
        self.groups[params["logGroupName"]] = {}
        self._created[params["logGroupName"]] = self._now()
        return {}

    def _create_log_stream(self, params: Json) -> Json:
        streams = self._group(params)
        if params["logStreamName"] in streams:
            raise AwsError(
                "ResourceAlreadyExistsException", "The specified log stream already exists"
            )
        streams[params["logStreamName"]] = LogStream(self._now())
        return {}

    def _describe_log_groups(self, params: Json) -> Json:
        prefix = params.get("logGroupNamePrefix") or ""
        return {
            "logGroups": [
                {
                    "logGroupName": name,
                    "creationTime": self._created.get(name, 0),
                    "arn": f"{self._arn}:log-group:{name}:*",
                    "storedBytes": 0,
                }
                for name in sorted(self.groups)
                if name.startswith(prefix)
            ]
        }

    def _describe_log_streams(self, params: Json) -> Json:
        group = _group_name(params)
        prefix = params.get("logStreamNamePrefix") or ""
        return {
            "logStreams": [
                {
                    "logStreamName": name,
                    "creationTime": stream.created,
                    "arn": f"{self._arn}:log-group:{group}:log-stream:{name}",
                    "storedBytes": 0,
                }
                | (
                    {
                        "firstEventTimestamp": stream.events[0][0],
                        "lastEventTimestamp": stream.events[-1][0],
                        "lastIngestionTime": stream.events[-1][0],
                    }
                    if stream.events
                    else {}
                )
                for name, stream in sorted(self._group(params).items())
                if name.startswith(prefix)
            ][: params.get("limit") or 50]
        }

    def _get_log_events(self, params: Json) -> Json:
        stream = self._group(params).get(params["logStreamName"])
        if stream is None:
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        events = _between(stream.events, params)
        limit = min(params.get("limit") or _PAGE, _PAGE)
        token = params.get("nextToken")
        if token:
            side, _, place = token.partition("/")
            edge = int(place)
            first, last = (edge, edge + limit) if side == "f" else (max(0, edge - limit), edge)
        elif params.get("startFromHead"):
            first, last = 0, limit
        else:
            first, last = max(0, len(events) - limit), len(events)
        page = events[first:last]
        return {
            "events": [_event(at, line) for at, line in page],
            # At the end AWS answers the token that it was given: so a reader knows.
            "nextForwardToken": f"f/{first + len(page)}",
            "nextBackwardToken": f"b/{first}",
        }

    def _filter_log_events(self, params: Json) -> Json:
        prefix = params.get("logStreamNamePrefix") or ""
        names: list[str] = params.get("logStreamNames") or []
        found = [
            (at, line, name)
            for name, stream in self._group(params).items()
            if name.startswith(prefix) and (not names or name in names)
            for at, line in _between(stream.events, params)
        ]
        found.sort(key=lambda event: event[0])
        return {
            "events": [
                {**_event(at, line), "logStreamName": name, "eventId": f"{number:056d}"}
                for number, (at, line, name) in enumerate(found[: params.get("limit") or _PAGE])
            ],
            "searchedLogStreams": [],
        }

    def _group(self, params: Json) -> dict[str, LogStream]:
        group = self.groups.get(_group_name(params))
        if group is None:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        return group


def _group_name(params: Json) -> str:
    identifier: str = params.get("logGroupName") or params.get("logGroupIdentifier") or ""
    return identifier.rpartition(":log-group:")[2].removesuffix(":*")


def _event(at: int, line: str) -> Json:
    return {"timestamp": at, "message": line, "ingestionTime": at}


def _between(events: list[tuple[int, str]], params: Json) -> list[tuple[int, str]]:
    start, end = params.get("startTime") or 0, params.get("endTime") or 1 << 62
    return [event for event in events if start <= event[0] < end]
