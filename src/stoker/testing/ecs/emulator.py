"""The emulator as tests use it: served, driven by the clock, with its containers."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from threading import Event, Thread
from types import TracebackType
from typing import Any, TypeVar

from stoker.testing.ecs.aws import Moto
from stoker.testing.ecs.calls import Calls
from stoker.testing.ecs.faults import Faults
from stoker.testing.ecs.logs import Logs
from stoker.testing.ecs.model.ecs import Ecs
from stoker.testing.ecs.model.world import EcsSettings
from stoker.testing.ecs.processes import ProcessRunner
from stoker.testing.ecs.runners import Runner
from stoker.testing.ecs.server import EcsServer

T = TypeVar("T")


@lru_cache(maxsize=8)
def _session(region: str) -> Any:
    """A session of boto3, kept: what it has loaded of AWS's models costs most of a client."""
    boto3: Any = import_module("boto3")
    return boto3.session.Session(
        aws_access_key_id="testing", aws_secret_access_key="testing", region_name=region
    )


class EcsEmulator:
    """ECS and CloudWatch Logs on loopback, for boto3, running the containers' commands.

    Use it as a context manager, or call `start` and `close`.

    Args:
        settings: How the account behaves.
        runner: Runs the containers; by default as processes of this machine.
        faults: What goes wrong; by default nothing.
        moto: Whether moto plays the rest of AWS beside it. Secrets of task definitions then come
            from its Secrets Manager and Parameter Store.
        secrets: Values of secrets by ARN or name, in place of moto's.
        clock: Seconds since the epoch. With a clock of your own nothing happens between two calls
            until you call ``ecs.advance()``.

    Attributes:
        endpoint_url: The address of ECS and CloudWatch Logs.
        ecs: The account's state: tasks, calls, faults.

    Raises:
        RuntimeError: moto is asked for and not installed (at `start`).

    Example:
        >>> with EcsEmulator() as emulator:
        ...     emulator.client("ecs").list_clusters()["clusterArns"]
        ['arn:aws:ecs:us-east-1:123456789012:cluster/default']
    """

    def __init__(
        self,
        settings: EcsSettings | None = None,
        *,
        runner: Runner | None = None,
        faults: Faults | None = None,
        moto: bool = False,
        secrets: Callable[[str], str | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._server = EcsServer()
        self._moto = Moto() if moto else None
        self._runner = runner or ProcessRunner()
        self._clock = clock
        self._wake = Event()
        self._closed = False
        self._driver = Thread(target=self._drive, daemon=True)
        self.endpoint_url = self._server.url
        self.settings = replace(settings or EcsSettings(), agent_url=self._server.url)
        self.ecs = Ecs(clock, self.settings, self._runner, faults, secrets or self._secret)
        self._server.ecs = self.ecs

    def start(self) -> "EcsEmulator":
        """Listen, and let time pass."""
        if self._moto is not None:
            try:
                self._moto.start()
            except RuntimeError:
                self._server.close()
                raise
        self._server.start()
        if self._clock is time.time:
            self.ecs.world.changed = self._wake.set
            self._driver.start()
        return self

    def close(self) -> None:
        """End the containers and listen no more."""
        self._closed = True
        self._wake.set()
        if self._driver.is_alive():
            self._driver.join()
        self._runner.close()
        self._server.close()
        if self._moto is not None:
            self._moto.close()

    def __enter__(self) -> "EcsEmulator":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def calls(self) -> Calls:
        """What was called of ECS."""
        return self.ecs.calls

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.ecs.faults

    @property
    def logs(self) -> Logs:
        """CloudWatch's logs."""
        return self.ecs.logs

    @property
    def environ(self) -> dict[str, str]:
        """Variables with which any boto3 client of a process finds the emulator, and nothing else.

        What neither the emulator nor moto serves goes to the emulator too, which refuses it: no
        call leaves this machine.
        """
        return {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": self.settings.region,
            "AWS_DEFAULT_REGION": self.settings.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self._moto.url if self._moto else self.endpoint_url,
            "AWS_ENDPOINT_URL_ECS": self.endpoint_url,
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": self.endpoint_url,
        }

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of a service, whatever the environment says.

        Args:
            service: Such as ``ecs``, ``logs``, or one that moto plays.
            options: What else ``boto3.client`` is given, such as ``config``.
        """
        moto = self._moto if service not in ("ecs", "logs") else None
        url = moto.url if moto is not None else self.endpoint_url
        return _session(self.settings.region).client(service, endpoint_url=url, **options)

    def until(self, holds: Callable[[], T], timeout: float = 20.0) -> T:
        """What a function answers, once that is true: AWS tells nobody of its changes.

        Args:
            holds: Asked every hundredth of a second.
            timeout: Seconds.

        Raises:
            AssertionError: The time has passed. It says which tasks there are, why they stopped,
                and what they wrote last.
        """
        deadline = time.monotonic() + timeout
        while not (found := holds()):
            assert time.monotonic() < deadline, f"not in {timeout:g} s; tasks:\n{self._tasks()}"
            time.sleep(0.01)
        return found

    def _tasks(self) -> str:
        return "\n".join(
            f"{task.arn} {task.status} {task.stopped_reason or ''}"
            + "".join(f"\n    {line}" for line in self.ecs.lines(task.arn)[-10:])
            for task in self.ecs.tasks()
        )

    def _drive(self) -> None:
        """Let happen what is due, when it is due."""
        while not self._closed:
            self._wake.clear()
            due = self.ecs.next_due()
            self._wake.wait(None if due is None else max(0.0, due - self._clock()))
            self.ecs.advance()

    def _secret(self, name: str) -> str | None:
        """Ask moto."""
        if self._moto is None:
            return None
        client_error: Any = import_module("botocore.exceptions").ClientError
        try:
            if ":secretsmanager:" in name:
                found = self.client("secretsmanager").get_secret_value(SecretId=name)
                return str(found["SecretString"])
            parameter = name.rpartition(":parameter")[2]
            found = self.client("ssm").get_parameter(Name=parameter, WithDecryption=True)
            return str(found["Parameter"]["Value"])
        except client_error:
            return None
