"""The state of the account, and its time."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from threading import RLock
from uuid import UUID

from stoker.testing.ecs.buckets import Buckets
from stoker.testing.ecs.calls import Calls
from stoker.testing.ecs.errors import AwsError
from stoker.testing.ecs.faults import Faults
from stoker.testing.ecs.logs import Logs
from stoker.testing.ecs.model.records import (
    Definition,
    Json,
    ServiceRecord,
    TaskRecord,
    TokenUse,
)
from stoker.testing.ecs.quantiles import NO_WAIT, Quantiles
from stoker.testing.ecs.runners import Runner


@dataclass(frozen=True, slots=True)
class Instance:
    """Room for tasks that are not on Fargate: a container instance.

    Attributes:
        cpu: CPU units.
        memory: MiB.
        external: Whether it takes the launch type EXTERNAL in place of EC2.
    """

    cpu: int = 4096
    memory: int = 16384
    external: bool = False


@dataclass(frozen=True, slots=True)
class EcsSettings:
    """How the emulated account behaves. Durations are in seconds.

    Attributes:
        cold_start: From RunTask to RUNNING.
        provisioning: Which share of it passes in PROVISIONING; the rest is PENDING.
        stop_timeout: From SIGTERM to SIGKILL where the container's definition says nothing.
        deactivating: In DEACTIVATING, before SIGTERM.
        deprovisioning: In DEPROVISIONING.
        stopped_visible: How long a stopped task is described; AWS promises an hour.
        visible_after: How long a new task is missing from DescribeTasks and ListTasks.
        spot_notice: The longest that an interrupted Spot task may take from SIGTERM to SIGKILL.
        quota_scale: By what the published token buckets are multiplied.
        vcpu_quota: vCPUs that may run on Fargate at once, `None` for no limit.
        instances: Container instances of each cluster.
        lost_after: How long the client of a lost answer waits until its connection ends; more than
            its read timeout, and it sees that timeout.
        agent_url: Where the containers find the metadata and agent endpoints.
        seed: Of what is drawn: identifiers, cold starts.
    """

    account: str = "123456789012"
    region: str = "us-east-1"
    cold_start: Quantiles = NO_WAIT
    provisioning: float = 0.4
    stop_timeout: float = 30.0
    deactivating: float = 0.0
    deprovisioning: float = 0.0
    stopped_visible: float = 3600.0
    visible_after: float = 0.0
    spot_notice: float = 120.0
    quota_scale: float = 1.0
    vcpu_quota: float | None = None
    instances: tuple[Instance, ...] = ()
    lost_after: float = 0.0
    agent_url: str = "http://169.254.170.2"
    seed: int = 0


class World:
    """All that one account has, and the timers that move it.

    Args:
        settings: How it behaves.
        clock: Seconds since the epoch. The world's time follows it at `advance`.
        runner: Runs the containers.
        faults: What goes wrong.
        secrets: Values of Secrets Manager and SSM, by ARN or name.
    """

    def __init__(
        self,
        settings: EcsSettings,
        clock: Callable[[], float],
        runner: Runner,
        faults: Faults,
        secrets: Callable[[str], str | None],
    ) -> None:
        self.settings = settings
        self.runner = runner
        self.faults = faults
        self.secrets = secrets
        self.lock = RLock()
        self.now = clock()
        self.random = Random(settings.seed)
        self.buckets = Buckets(settings.quota_scale)
        self.calls = Calls()
        self.logs = Logs(clock, f"arn:aws:logs:{settings.region}:{settings.account}")
        self.clusters: dict[str, list[Json]] = {"default": []}
        self.families: dict[str, list[Definition]] = {}
        self.tasks: dict[str, TaskRecord] = {}
        self.services: dict[tuple[str, str], ServiceRecord] = {}
        self.tokens: dict[str, TokenUse] = {}
        self.task_moved: Callable[[TaskRecord], None] = lambda _: None
        self.lines: dict[str, deque[str]] = {}
        self.changed: Callable[[], None] = lambda: None
        self._clock = clock
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._advancing = False

    def arn(self, resource: str) -> str:
        """The ARN of a resource of ECS."""
        return f"arn:aws:ecs:{self.settings.region}:{self.settings.account}:{resource}"

    def new_id(self) -> str:
        """An identifier: 32 hexadecimal digits."""
        return f"{self.random.getrandbits(128):032x}"

    def new_uuid(self) -> str:
        """An identifier in the form of a UUID."""
        return str(UUID(self.new_id()))

    def keep_line(self, task: str, line: str) -> None:
        """Keep a line that a task wrote, whether or not it has a log stream."""
        self.lines.setdefault(task, deque(maxlen=1000)).append(line)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call something at a time."""
        heapq.heappush(self._timers, (when, next(self._numbers), call))
        self.changed()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something after some seconds."""
        with self.lock:
            self.at(self.now + seconds, call)

    def next_due(self) -> float | None:
        """When the next timer is due, if there is one."""
        with self.lock:
            return self._timers[0][0] if self._timers else None

    def advance(self) -> None:
        """Let happen what is due by the clock, each thing at its own time."""
        with self.lock:
            if self._advancing:
                return
            self._advancing = True
            try:
                until = self._clock()
                while self._timers and self._timers[0][0] <= until:
                    when, _, call = heapq.heappop(self._timers)
                    self.now = max(self.now, when)
                    call()
                self.now = max(self.now, until)
            finally:
                self._advancing = False

    def cluster(self, name: str | None) -> str:
        """The name of a cluster, given its name, its ARN or nothing.

        Raises:
            AwsError: There is no such cluster.
        """
        short = (name or "default").rpartition("/")[2]
        if short not in self.clusters:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return short

    def cluster_arn(self, name: str) -> str:
        """The ARN of a cluster."""
        return self.arn(f"cluster/{name}")
