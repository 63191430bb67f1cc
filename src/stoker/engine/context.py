"""Which flow run and which task run the code that is running now belongs to."""

from collections.abc import Mapping
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any

from stoker.domain.errors import StokerError
from stoker.ports.backend import Backend

if TYPE_CHECKING:
    from stoker.engine.parameters import Signature
    from stoker.engine.pool import TaskPool


class MissingContext(StokerError):
    """Something that needs a running flow or task was called outside of one."""

    status = 422


class FlowContext:
    """A flow run while it runs, in the process that runs it.

    Attributes:
        id: The run's id.
        name: Its name.
        flow_name: Its flow's name.
        parameters: Its parameters by name, as the user's function gets them.
        tags: Its labels.
        deployment: ``"flow/name"`` of its deployment; empty without one.
        attempt: Times that it was given a slot; 0 in its caller's process.
        scheduled: When it was to begin, seconds since the epoch; 0 in its caller's process.
        parent: Id of the flow run that started it.
        run_count: Calls of the user's function so far.
        backend: Where it reports to.
        console: Whether its log lines are also written to standard error (scripts).
        top: Whether no other flow runs around it in this process.
        is_async: Whether its function is a coroutine function.
        log_prints: Whether ``print`` goes to its log.
        task_runner: What runs its submitted tasks; None for the default.
        pool: The submitted tasks, from the first one on.
        logged: The last exception whose traceback is in its log already.
    """

    __slots__ = (
        "_numbers",
        "attempt",
        "backend",
        "console",
        "deployment",
        "flow_name",
        "id",
        "is_async",
        "log_prints",
        "logged",
        "name",
        "parameters",
        "parent",
        "pool",
        "run_count",
        "scheduled",
        "tags",
        "task_runner",
        "top",
    )

    def __init__(
        self,
        *,
        id: str,
        name: str,
        flow_name: str,
        backend: Backend,
        parent: str | None = None,
        tags: list[str] | None = None,
        deployment: str = "",
        attempt: int = 0,
        scheduled: float = 0.0,
        console: bool = False,
        top: bool = False,
        is_async: bool = False,
        log_prints: bool = False,
        task_runner: Any = None,
    ) -> None:
        self.id = id
        self.name = name
        self.flow_name = flow_name
        self.parameters: Mapping[str, Any] = {}
        self.tags = tags or []
        self.deployment = deployment
        self.attempt = attempt
        self.scheduled = scheduled
        self.parent = parent
        self.run_count = 0
        self.backend = backend
        self.console = console
        self.top = top
        self.is_async = is_async
        self.log_prints = log_prints
        self.task_runner = task_runner
        self.pool: TaskPool | None = None
        self.logged: BaseException | None = None
        self._numbers: dict[str, count[int]] = {}

    @property
    def flow(self) -> "FlowContext":
        """The flow run that this code belongs to: this one."""
        return self

    def number(self, task_name: str) -> int:
        """Return how many runs of a task this flow run had before; safe in threads."""
        numbers = self._numbers.get(task_name)
        if numbers is None:
            numbers = self._numbers.setdefault(task_name, count())
        return next(numbers)


class TaskContext:
    """A task run while it runs.

    Attributes:
        id: The task run's id; its record's once it has one.
        name: Its name, for example ``"add-3"``.
        task_name: Its task's name.
        flow: The flow run that it is part of.
        tags: Its task's labels.
        args: The positional arguments of the call.
        kwargs: The keyword arguments of the call.
        signature: The parameters of its function.
        run_count: Calls of the user's function so far.
        is_async: Whether its function is a coroutine function.
        log_prints: Whether ``print`` goes to its log.
    """

    __slots__ = (
        "args",
        "flow",
        "id",
        "is_async",
        "kwargs",
        "log_prints",
        "name",
        "run_count",
        "signature",
        "tags",
        "task_name",
    )

    def __init__(
        self,
        id: str,
        name: str,
        task_name: str,
        flow: FlowContext,
        tags: list[str],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        signature: "Signature",
        is_async: bool,
        log_prints: bool,
    ) -> None:
        self.id = id
        self.name = name
        self.task_name = task_name
        self.flow = flow
        self.tags = tags
        self.args = args
        self.kwargs = kwargs
        self.signature = signature
        self.run_count = 0
        self.is_async = is_async
        self.log_prints = log_prints


Context = FlowContext | TaskContext

TAGS: ContextVar[frozenset[str]] = ContextVar("stoker_tags", default=frozenset())
"""What `stoker.tags` gives the runs that begin here."""

CURRENT: ContextVar[Context | None] = ContextVar("stoker_run", default=None)
"""The innermost run that the present code belongs to; tasks in threads inherit it."""


def current_flow() -> FlowContext | None:
    """Return the flow run that the present code belongs to, or None."""
    context = CURRENT.get()
    return None if context is None else context.flow


def require(what: str) -> Context:
    """Return the present run.

    Raises:
        MissingContext: There is none; ``what`` says what needs it.
    """
    context = CURRENT.get()
    if context is None:
        raise MissingContext(f"{what} works only inside a running flow or task; call it there")
    return context
