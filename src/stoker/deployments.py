"""Deployments: flows that are started by name, each run in a process of its own."""

import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from stoker.domain.deployments import Deployment, Parameter, parameter_problems
from stoker.domain.errors import Invalid
from stoker.domain.ids import new_id
from stoker.domain.requests import AwaitRun, PutDeployment, ReadRun, StartRun
from stoker.domain.runs import FlowRun
from stoker.engine import backends, resolve
from stoker.engine.context import CURRENT, current_flow
from stoker.engine.options import labels, name_of
from stoker.engine.parameters import ParameterError, sendable

if TYPE_CHECKING:
    import ast

    from stoker.flows import Flow
    from stoker.states import State

__all__ = [
    "DeploymentRun",
    "arun_deployment",
    "deployment_of",
    "describe",
    "project_of",
    "put",
    "run_deployment",
]

T = TypeVar("T")

BACKSTOP_GRACE = 2.0
"""Seconds that a run has to clean up after its time limit, before its host ends it."""

PROJECT_MARKERS = ("stoker.toml", "pyproject.toml", ".git")


class DeploymentRun:
    """A run of a deployment, as it was when it was read last.

    Attributes:
        record: Its full record.
    """

    __slots__ = ("record",)

    def __init__(self, record: FlowRun) -> None:
        self.record = record

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.id

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def flow_name(self) -> str:
        """Its flow's name."""
        return self.record.flow_name

    @property
    def deployment(self) -> str | None:
        """``"flow/name"`` of its deployment."""
        return self.record.deployment

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its parameters, as JSON values."""
        return self.record.parameters

    @property
    def tags(self) -> list[str]:
        """Its labels."""
        return self.record.tags

    @property
    def parent_run_id(self) -> str | None:
        """Id of the flow run that started it."""
        return self.record.parent_run_id

    @property
    def state(self) -> "State[Any]":
        """Its state, with the result where the run is over."""
        from stoker.states import State

        return State.from_record(self.record.state, self.record.result)

    def result(self, raise_on_failure: bool = True) -> Any:
        """Return what the run returned; see `State.result`."""
        return self.state.result(raise_on_failure=raise_on_failure)

    def wait(self, timeout: float | None = None) -> "DeploymentRun":
        """Wait until the run is over, for at most ``timeout`` seconds; returns itself.

        A run that waits lends its slot to the one that it waits for.
        """
        if not self.record.state.is_terminal:
            backend, waiter = backends.current(), _parent(True)
            request = AwaitRun(run_id=self.id, waiter_run_id=waiter, timeout=timeout)
            self.record = backend.ask(request)
        return self

    async def wait_async(self, timeout: float | None = None) -> "DeploymentRun":
        """Wait as `wait` does, without blocking the event loop."""
        from stoker.engine.looping import in_thread

        return await in_thread(lambda: self.wait(timeout))

    def refresh(self) -> "DeploymentRun":
        """Read the run again; returns itself."""
        self.record = backends.current().ask(ReadRun(run_id=self.id))
        return self

    def __repr__(self) -> str:
        return f"<DeploymentRun {self.name} of {self.deployment}: {self.record.state.name}>"


def run_deployment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    flow_run_name: str | None = None,
    tags: Iterable[str] = (),
    job_variables: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    as_subflow: bool = True,
) -> DeploymentRun:
    """Start a run of a deployment, and wait until it is over.

    Inside a coroutine function it returns an awaitable; `arun_deployment` always does.

    Args:
        name: ``"flow/deployment"``, or the deployment's id.
        parameters: Over the deployment's own; what JSON can carry, pydantic models,
            dataclasses, dates and the like included.
        timeout: Seconds to wait at most, after which the run is returned as it is then; 0 not
            to wait, None to wait for ever.
        flow_run_name: The run's name; a readable one by default.
        tags: Labels, besides the deployment's.
        job_variables: Over the deployment's; ``env`` alone leaves the start hot.
        idempotency_key: A second call with the same key returns the first one's run.
        as_subflow: Whether the present flow run becomes its parent: while it waits it lends its
            slot, and if it is cancelled so is the run.

    Raises:
        ParameterError: A parameter cannot be sent as JSON.
        NotFound: There is no such deployment.
        Invalid: The parameters' names or the job variables are not the deployment's.
        Unavailable: The server cannot be reached.

    Example:
        ```python
        run = run_deployment("etl/nightly", {"day": date(2026, 1, 1)})
        print(run.state.result())
        ```
    """
    request = _request(
        name,
        parameters,
        timeout=timeout,
        flow_run_name=flow_run_name,
        tags=tags,
        job_variables=job_variables,
        idempotency_key=idempotency_key,
        as_subflow=as_subflow,
    )
    if _in_coroutine():
        # Its type says what the many get; who calls it in a coroutine knows to await it.
        return cast(DeploymentRun, _ask_later(request))
    return _ask(request)


async def arun_deployment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    flow_run_name: str | None = None,
    tags: Iterable[str] = (),
    job_variables: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    as_subflow: bool = True,
) -> DeploymentRun:
    """Do what `run_deployment` does, in a coroutine.

    Example:
        ```python
        runs = await asyncio.gather(*(arun_deployment("etl/nightly", {"day": d}) for d in days))
        ```
    """
    return await _ask_later(
        _request(
            name,
            parameters,
            timeout=timeout,
            flow_run_name=flow_run_name,
            tags=tags,
            job_variables=job_variables,
            idempotency_key=idempotency_key,
            as_subflow=as_subflow,
        )
    )


def _request(
    name: str,
    parameters: Mapping[str, Any] | None,
    *,
    timeout: float | None,
    flow_run_name: str | None,
    tags: Iterable[str],
    job_variables: Mapping[str, Any] | None,
    idempotency_key: str | None,
    as_subflow: bool,
) -> StartRun:
    where = f"run_deployment({name!r})"
    if timeout is not None and timeout < 0:
        raise ValueError(f"{where}: timeout must be 0 or more seconds, not {timeout}")
    given = dict(parameters or {})
    if resolve.active():
        given = resolve.resolved(given)
    return StartRun(
        deployment=name,
        parameters=sendable(given, where),
        name=flow_run_name,
        tags=labels(tags, where),
        job_variables=dict(job_variables or {}),
        parent_run_id=_parent(as_subflow),
        idempotency_key=idempotency_key,
        timeout=timeout,
    )


def _parent(wanted: bool) -> str | None:
    flow = current_flow()
    return flow.id if wanted and flow is not None and flow.id else None


def _ask(request: StartRun) -> DeploymentRun:
    return DeploymentRun(backends.current().ask(request))


def _ask_later(request: StartRun) -> Awaitable[DeploymentRun]:
    from stoker.engine.looping import in_thread

    return in_thread(lambda: _ask(request))


def _in_coroutine() -> bool:
    """Whether the caller can await: an event loop runs here, and not around a plain function."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    context = CURRENT.get()
    return context is None or context.is_async


def put(deployment: Deployment) -> Deployment:
    """Create or replace a deployment at the server, and return it as it is stored.

    Raises:
        NotFound: There is no such work pool.
        Unavailable: The server cannot be reached.
    """
    return backends.current().ask(PutDeployment(deployment=deployment))


def describe(
    flow: "Flow[..., Any]",
    name: str,
    *,
    pool: str = "default",
    queue: str = "default",
    parameters: Mapping[str, Any] | None = None,
    job_variables: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    project: str | Path | None = None,
) -> Deployment:
    """Describe the deployment of a flow; `put` stores it. See `Flow.deploy`.

    Raises:
        Invalid: The flow cannot be found again by its file and name, or the parameters are not
            the flow's; says why.
    """
    module = sys.modules.get(getattr(flow.fn, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is None or not file or not os.path.isfile(file):
        raise Invalid(f"flow {flow.name!r} is in no file; write it into one to deploy it")
    function = _attribute_of(module, flow, file)
    if module.__name__ == "__main__" and _is_of_scripts_alone(function, file):
        raise Invalid(
            f"flow {flow.name!r} is there only where {file} is run as a script; move it out of "
            'the block of `if __name__ == "__main__":`, since a run imports the file'
        )
    return _described(
        flow,
        name,
        Path(file).resolve(),
        function,
        pool=pool,
        queue=queue,
        parameters=parameters,
        job_variables=job_variables,
        tags=tags,
        project=project,
    )


def deployment_of(
    file: str | Path,
    function: str | None,
    *,
    name: str,
    pool: str = "default",
    queue: str = "default",
    parameters: Mapping[str, Any] | None = None,
    job_variables: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    project: str | Path | None = None,
) -> Deployment:
    """Import a file and describe the deployment of one of its flows; `put` stores it.

    Args:
        file: Python file.
        function: Name of the flow's function; None where the file has but one flow.
        name: The deployment's own name.
        pool: Name of the work pool.
        queue: Name of the queue.
        parameters: Defaults for its runs.
        job_variables: What it sets of the pool's base job template.
        tags: Labels that its runs carry.
        project: The project folder; `project_of` the file by default.

    Raises:
        Invalid: There is no such file or flow, or the file cannot be imported; says where and
            what is wrong.
    """
    path = Path(file).resolve()
    if not path.is_file():
        raise Invalid(f"there is no file {file}")
    folder = _project(path, project)
    module = _import(path, folder)
    flow, attribute = _flow_in(module, function, str(file))
    return _described(
        flow,
        name,
        path,
        attribute,
        pool=pool,
        queue=queue,
        parameters=parameters,
        job_variables=job_variables,
        tags=tags,
        project=folder,
    )


def project_of(file: Path) -> Path:
    """Return the project folder of a file.

    That is the nearest of the file's folders that holds ``stoker.toml``, ``pyproject.toml`` or
    ``.git``; without one the working directory, if the file lies in it; else the file's folder.
    """
    for folder in file.parents:
        if any((folder / marker).exists() for marker in PROJECT_MARKERS):
            return folder
    here = Path.cwd().resolve()
    return here if here in file.parents else file.parent


def _project(file: Path, given: str | Path | None) -> Path:
    if given is None:
        return project_of(file)
    folder = Path(given).resolve()
    if folder not in file.parents:
        raise Invalid(f"{file} is not in the project folder {folder}; name one that holds it")
    return folder


def _described(
    flow: "Flow[..., Any]",
    name: str,
    file: Path,
    function: str,
    *,
    pool: str,
    queue: str,
    parameters: Mapping[str, Any] | None,
    job_variables: Mapping[str, Any] | None,
    tags: Iterable[str],
    project: str | Path | None,
) -> Deployment:
    if not name or "/" in name:
        raise Invalid(f"a deployment's name must be there and have no '/' in it: {name!r}")
    folder = _project(file, project)
    full_name = f"{flow.name}/{name}"
    signature = flow.signature.described()
    defaults = sendable(parameters or {}, full_name)
    if signature is not None:
        optional = [Parameter(name=parameter.name) for parameter in signature]
        problem = parameter_problems(optional, defaults, full_name)
        if problem is not None:
            raise ParameterError(problem)
    if flow.validates:
        flow.signature.validate_given(defaults)
    now = time.time()
    return Deployment(
        id=new_id(now),
        name=name,
        flow_name=flow.name,
        entrypoint=f"{file.relative_to(folder)}:{function}",
        path=str(folder),
        pool=pool,
        queue=queue,
        parameters=defaults,
        signature=signature,
        job_variables=dict(job_variables or {}),
        tags=labels(tags, full_name),
        timeout=_backstop(flow),
        created=now,
        updated=now,
    )


def _is_of_scripts_alone(name: str, file: str) -> bool:
    """Whether a file binds a name in its block for scripts, and nowhere else."""
    import ast

    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return False
    guards = [one for one in tree.body if isinstance(one, ast.If) and _is_guard(one.test)]
    guarded = {bound for guard in guards for one in guard.body for bound in _bound_by(one)}
    return name in guarded and not any(
        name in _bound_by(one)
        for top in tree.body
        for one in (top.orelse if top in guards and isinstance(top, ast.If) else [top])
    )


def _is_guard(test: "ast.expr") -> bool:
    import ast

    return ast.unparse(test) in {"__name__ == '__main__'", "'__main__' == __name__"}


def _bound_by(statement: "ast.stmt") -> set[str]:
    """Names that a statement may bind, and some more."""
    import ast

    bound: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name)
    return bound


def _backstop(flow: "Flow[..., Any]") -> float | None:
    """Seconds after which a host ends a run that its own time limit did not end.

    That is for code in C that no signal gets out of: all else ends by its own limit, in order.
    """
    if flow.timeout is None:
        return None
    policy = flow.plan.retries
    return flow.timeout * (policy.retries + 1) + policy.longest() + BACKSTOP_GRACE


def _attribute_of(module: ModuleType, flow: "Flow[..., Any]", file: str) -> str:
    own = name_of(flow.fn)
    if getattr(module, own, None) is flow:
        return own
    for name, value in vars(module).items():
        if value is flow:
            return name
    raise Invalid(
        f"flow {flow.name!r} is no top-level name of {file}; only those can be deployed, since "
        "a run finds its flow by file and name"
    )


def _flow_in(module: ModuleType, function: str | None, file: str) -> "tuple[Flow[..., Any], str]":
    from stoker.engine.runner import flow_of
    from stoker.flows import Flow

    if function is None:
        own = [
            name
            for name, value in vars(module).items()
            if isinstance(value, Flow)
            and cast("Flow[..., Any]", value).fn.__module__ == module.__name__
        ]
        if len(own) != 1:
            known = f"it has: {', '.join(own)}" if own else "it has none"
            raise Invalid(f"say which flow of {file} is meant, as {file}:NAME; {known}")
        function = own[0]
    return flow_of(module, function), function


def _import(file: Path, folder: Path) -> ModuleType:
    from stoker.host.loader import load

    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return _loaded(lambda: load(str(folder), str(file.relative_to(folder))), file)


def _loaded(load: Callable[[], T], file: Path) -> T:
    try:
        return load()
    except SyntaxError as error:
        place = f"{error.filename or file}, line {error.lineno}"
        raise Invalid(f"{place} is no valid Python: {error.msg}") from error
    except (Exception, SystemExit) as error:
        place = _place_of(error, file)
        raise Invalid(f"importing {file} failed{place}: {type(error).__name__}: {error}") from error


def _place_of(error: BaseException, file: Path) -> str:
    """Where in the file that was imported it went wrong."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if os.path.realpath(trace.tb_frame.f_code.co_filename) == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line else ""
