"""What the machine plays with: pools, queues, deployments, workers, hosts."""

from msgspec import Struct

from stoker.domain.deployments import CollisionStrategy, Deployment
from stoker.domain.pools import Machine, Worker, WorkQueue
from stoker.domain.templates import PROCESS_TEMPLATE

POOLS = ("main", "side")
QUEUES = (
    WorkQueue(pool="main", name="default", priority=5),
    WorkQueue(pool="main", name="fast", priority=1, concurrency_limit=2),
    WorkQueue(pool="main", name="equal", priority=5),
    WorkQueue(pool="side", name="default"),
)
TEMPLATE = {
    "variables": {
        **PROCESS_TEMPLATE["variables"],
        "properties": {
            **PROCESS_TEMPLATE["variables"]["properties"],
            "size": {"type": "string", "default": "small"},
        },
    },
    "job_configuration": {**PROCESS_TEMPLATE["job_configuration"], "size": "{{ size }}"},
}
"""With a variable that makes lanes of their own."""


class Plan(Struct, kw_only=True, frozen=True):
    """A deployment as it begins."""

    name: str
    pool: str = "main"
    queue: str = "default"
    size: str = "small"
    limit: int | None = None
    crash_retries: int = 0
    strategy: CollisionStrategy = CollisionStrategy.ENQUEUE

    @property
    def deployment(self) -> Deployment:
        """The deployment, new."""
        return Deployment(
            id="",
            name=self.name,
            flow_name="f",
            entrypoint="flows.py:f",
            path="/project",
            pool=self.pool,
            queue=self.queue,
            job_variables={"size": self.size},
            concurrency_limit=self.limit,
            collision_strategy=self.strategy,
            crash_retries=self.crash_retries,
        )


PLANS = {
    plan.name: plan
    for plan in (
        Plan(name="free"),
        Plan(name="limited", limit=1),
        Plan(name="fast", queue="fast", limit=2, crash_retries=1),
        Plan(name="big", queue="equal", size="big", crash_retries=2),
        Plan(name="one", limit=1, strategy=CollisionStrategy.CANCEL_NEW),
        Plan(name="beside", pool="side", limit=2),
    )
}
NAMES = tuple(PLANS)

MACHINE = Machine("here", "boot-1")
WORKERS = (
    Worker(id="w1", name="w1", pool="main", machine=MACHINE, server_id="s", limit=2),
    Worker(id="w2", name="w2", pool="main", machine=MACHINE, server_id="s"),
    Worker(id="w3", name="w3", pool="side", machine=MACHINE, server_id="s"),
)


class Place(Struct, kw_only=True, frozen=True):
    """A host as it is launched."""

    pool: str = "main"
    worker: str = "w1"
    slots: int = 2
    size: str = "small"
    queues: tuple[str, ...] = ()
    once: bool = False


PLACES = {
    "h1": Place(slots=3),
    "h2": Place(worker="w2", size="big"),
    "h3": Place(queues=("fast", "equal"), slots=1),
    "h4": Place(pool="side", worker="w3"),
    "h5": Place(worker="w2", slots=1, once=True),
    "h6": Place(worker="w2"),
}
HOSTS = tuple(PLACES)
