"""Flows described as deployments: by file, name and parameters."""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stoker.domain.deployments import (
    ISOLATIONS,
    CollisionStrategy,
    ConcurrencyLimitConfig,
    Deployment,
    Parameter,
    parameter_problems,
)
from stoker.domain.errors import Invalid
from stoker.domain.ids import new_id
from stoker.domain.requests import PutDeployment
from stoker.domain.schedules import Schedule
from stoker.engine import backends
from stoker.engine.options import labels, name_of
from stoker.engine.parameters import ParameterError, sendable

if TYPE_CHECKING:
    import ast
    from datetime import timedelta

    from stoker.flows import Flow

PROJECT_MARKERS = ("stoker.toml", "pyproject.toml", ".git")


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
    isolation: str = "fork",
    description: str | None = None,
    project: str | Path | None = None,
    schedules: list[Schedule] | None = None,
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
    return described(
        flow,
        name,
        Path(file).resolve(),
        function,
        pool=pool,
        queue=queue,
        parameters=parameters,
        job_variables=job_variables,
        tags=tags,
        isolation=isolation,
        description=description,
        project=project,
        schedules=schedules,
    )


def limited(deployment: Deployment, given: int | ConcurrencyLimitConfig | None) -> Deployment:
    """Give a deployment its concurrency limit, and return it.

    Raises:
        Invalid: The limit is below zero, or the collision strategy is not known.
    """
    config = ConcurrencyLimitConfig(given) if isinstance(given, int) else given
    if config is None:
        return deployment
    if config.limit < 0:
        raise Invalid("a concurrency limit is 0 or more; leave it out for none")
    try:
        strategy = CollisionStrategy(config.collision_strategy)
    except ValueError:
        known = ", ".join(CollisionStrategy)
        raise Invalid(
            f"collision strategy {config.collision_strategy!r} is not known; there is: {known}"
        ) from None
    deployment.concurrency_limit = config.limit
    deployment.collision_strategy = strategy
    return deployment


def again(deployment: Deployment, retries: int, delay: "timedelta | float") -> Deployment:
    """Say how often runs of a deployment are queued again that crashed, and return it.

    Args:
        deployment: The deployment.
        retries: How often.
        delay: Seconds until such a run may begin again.

    Raises:
        Invalid: One of them is below zero, or the delay has no end.
    """
    seconds = float(delay) if isinstance(delay, int | float) else delay.total_seconds()
    if retries < 0 or not 0 <= seconds < inf:
        raise Invalid(
            "crash_retries and crash_retry_delay are 0 or more; "
            f"they are {retries} and {seconds:g} s"
        )
    deployment.crash_retries = retries
    deployment.crash_retry_delay = seconds
    return deployment


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


def project_folder(file: Path, given: str | Path | None) -> Path:
    """Return the project folder that was given for a file, or else `project_of` it.

    Raises:
        Invalid: The file does not lie in it.
    """
    if given is None:
        return project_of(file)
    folder = Path(given).resolve()
    if folder not in file.parents:
        raise Invalid(f"{file} is not in the project folder {folder}; name one that holds it")
    return folder


def described(
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
    isolation: str,
    description: str | None = None,
    project: str | Path | None,
    schedules: list[Schedule] | None = None,
) -> Deployment:
    """Describe the deployment of a flow whose place is known; see `describe`.

    Raises:
        Invalid: The name, the isolation or the parameters are impossible; says why.
    """
    if isolation not in ISOLATIONS:
        known = ", ".join(ISOLATIONS)
        raise Invalid(f"isolation {isolation!r} is not known; there is: {known}")
    if not name or "/" in name:
        raise Invalid(f"a deployment's name must be there and have no '/' in it: {name!r}")
    folder = project_folder(file, project)
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
        description=(flow.description if description is None else description) or "",
        timeout=_whole_time(flow),
        isolation=isolation,
        created=now,
        updated=now,
        schedules=schedules,
    )


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


def _whole_time(flow: "Flow[..., Any]") -> float | None:
    """Seconds that a run may take with all its retries.

    A little later its host ends it, where code in C let no signal through to end it in order.
    """
    if flow.timeout is None:
        return None
    policy = flow.plan.retries
    return flow.timeout * (policy.retries + 1) + policy.longest()
