"""Files of flows: imported to be deployed, and the flows found in them."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from stoker.domain.deployments import Deployment
from stoker.domain.errors import Invalid
from stoker.engine.describing import described, project_folder
from stoker.engine.runner import flow_of
from stoker.flows import Flow

T = TypeVar("T")


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
    isolation: str = "fork",
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
        isolation: ``"fork"`` or ``"host"``; see `Flow.deploy`.
        project: The project folder; `project_of` the file by default.

    Raises:
        Invalid: There is no such file or flow, or the file cannot be imported; says where and
            what is wrong.
    """
    path = Path(file).resolve()
    if not path.is_file():
        raise Invalid(f"there is no file {file}")
    folder = project_folder(path, project)
    module = _import(path, folder)
    flow, attribute = _flow_in(module, function, str(file))
    return described(
        flow,
        name,
        path,
        attribute,
        pool=pool,
        queue=queue,
        parameters=parameters,
        job_variables=job_variables,
        tags=tags,
        isolation=isolation,
        project=folder,
    )


def _flow_in(module: ModuleType, function: str | None, file: str) -> tuple[Flow[..., Any], str]:
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
    from stoker.host.code import loader

    place = str(folder), str(file.relative_to(folder))
    loader.seek_in(*place)
    return _loaded(lambda: loader.load(*place), file)


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
