"""What the emulator remembers of definitions, tasks and services."""

from dataclasses import dataclass, field
from typing import Any, Literal

from stoker.testing.ecs.runners import Container

Json = dict[str, Any]
Status = Literal[
    "PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"
]
NOT_STARTED: tuple[Status, ...] = ("PROVISIONING", "PENDING")


@dataclass(slots=True, eq=False)
class Definition:
    """A revision of a task definition, as it was registered."""

    arn: str
    family: str
    revision: int
    body: Json
    registered_at: float
    status: str = "ACTIVE"
    deregistered_at: float | None = None
    tags: list[Json] = field(default_factory=list[Json])

    @property
    def containers(self) -> list[Json]:
        """Its container definitions."""
        return self.body["containerDefinitions"]


@dataclass(slots=True, eq=False)
class ContainerRecord:
    """A container of a task."""

    definition: Json
    override: Json
    arn: str
    runtime_id: str
    status: str = "PENDING"
    exit_code: int | None = None
    reason: str | None = None
    running: Container | None = None
    killed_for: str | None = None

    @property
    def name(self) -> str:
        """Its name in the definition."""
        return self.definition["name"]

    @property
    def essential(self) -> bool:
        """Whether its end is the task's."""
        return self.definition.get("essential", True)


@dataclass(slots=True)
class Launch:
    """What a task is launched with."""

    cluster: str
    definition: Definition
    launch_type: str
    provider: str | None
    group: str
    started_by: str | None
    overrides: Json
    network: Json | None
    tags: list[Json]
    platform: str
    execute_command: bool = False
    instance: str | None = None
    service: str | None = None

    @property
    def on_fargate(self) -> bool:
        """Whether it has no container instance."""
        return self.launch_type == "FARGATE"

    @property
    def on_spot(self) -> bool:
        """Whether it can be interrupted."""
        return self.provider == "FARGATE_SPOT"

    @property
    def cpu(self) -> int:
        """CPU units; 0 where none are asked for."""
        return cpu_units(self.overrides.get("cpu") or self.definition.body.get("cpu") or 0)

    @property
    def memory(self) -> int:
        """MiB; 0 where none are asked for."""
        return mebibytes(self.overrides.get("memory") or self.definition.body.get("memory") or 0)


@dataclass(slots=True, eq=False)
class TaskRecord:
    """A task and how far it is."""

    id: str
    arn: str
    launch: Launch
    containers: list[ContainerRecord]
    created_at: float
    visible_at: float
    address: str
    status: Status = "PROVISIONING"
    desired: str = "RUNNING"
    tags: list[Json] = field(default_factory=list[Json])
    version: int = 1
    stop_code: str | None = None
    stopped_reason: str | None = None
    kill_after: float | None = None
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    started_at: float | None = None
    stopping_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    protected_until: float | None = None

    def move(self, status: Status) -> None:
        """Go to the next status."""
        self.status = status
        self.version += 1


@dataclass(slots=True)
class Event:
    """A line of what a service did."""

    id: str
    at: float
    message: str


@dataclass(slots=True, eq=False)
class DeploymentRecord:
    """What a service launches its tasks with, from one change to the next."""

    id: str
    launch: Launch
    created_at: float
    updated_at: float
    failed: int = 0


@dataclass(slots=True, eq=False)
class ServiceRecord:
    """A service: it keeps so many tasks running."""

    arn: str
    name: str
    cluster: str
    request: Json
    desired: int
    deployments: list[DeploymentRecord]
    created_at: float
    status: str = "ACTIVE"
    tags: list[Json] = field(default_factory=list[Json])
    events: list[Event] = field(default_factory=list[Event])
    steady: bool = False
    not_before: float = 0.0
    due: float | None = None


@dataclass(slots=True)
class TokenUse:
    """What a client token was used for."""

    parameters: Json
    tasks: list[TaskRecord]
    until: float


def part(body: Json, name: str) -> Json:
    """A member that is an object; an empty one where it is missing."""
    found: Json | None = body.get(name)
    return found or {}


def items(body: Json, name: str) -> list[Any]:
    """A member that is a list; an empty one where it is missing."""
    found: list[Any] | None = body.get(name)
    return found or []


def cpu_units(value: str | int) -> int:
    """CPU units of ``1024`` or ``"1 vCPU"``.

    Raises:
        ValueError: It is neither.
    """
    text = str(value).strip().lower()
    if text.endswith("vcpu"):
        return int(float(text.removesuffix("vcpu")) * 1024)
    return int(text)


def mebibytes(value: str | int) -> int:
    """MiB of ``2048`` or ``"2 GB"``.

    Raises:
        ValueError: It is neither.
    """
    text = str(value).strip().lower()
    if text.endswith("gb"):
        return int(float(text.removesuffix("gb")) * 1024)
    return int(text)
