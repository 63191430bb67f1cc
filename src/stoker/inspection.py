"""Looks at a file of flows as a zygote would: ``python -m stoker.inspection``.

It is told a `Setup` on standard input, and prints a `Report` to standard output, both as JSON. The
file's own output goes to standard error.
"""

import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import msgspec
from msgspec import Struct, field

from stoker.domain.errors import StokerError
from stoker.engine import runner
from stoker.engine.describing import described
from stoker.flows import Flow
from stoker.host import linux
from stoker.host.code import fork_check
from stoker.host.code.import_trace import ImportTrace
from stoker.host.code.importing import failure, import_code
from stoker.host.control import Setup

END_TIME = 10.0
"""Seconds that processes get to end which the file has started."""


class FoundFlow(Struct, kw_only=True):
    """A flow of the file.

    Attributes:
        function: Name of its function, as ``stoker deploy`` takes it.
        name: Its own name.
        problem: Why it cannot be deployed; empty where it can.
    """

    function: str
    name: str
    problem: str = ""


class Package(Struct, array_like=True):
    """Seconds that the modules of one package or file took to import."""

    name: str
    seconds: float


class Report(Struct, kw_only=True):
    """What was found.

    Attributes:
        error: Why the file cannot be imported; empty where it can.
        details: The users' part of the traceback.
        seconds: How long the import took.
        packages: What took how much of it, the most first.
        faults: What is not safe to fork, and the module to blame.
        flows: The flows that are defined in the file.
    """

    error: str = ""
    details: str = ""
    seconds: float = 0.0
    packages: list[Package] = field(default_factory=list[Package])
    faults: list[str] = field(default_factory=list[str])
    flows: list[FoundFlow] = field(default_factory=list[FoundFlow])


def inspect(setup: Setup) -> Report:
    """Import a file in this process, and report what there is to know."""
    before, trace = fork_check.descriptors(), ImportTrace()
    started = time.monotonic()
    trace.install()
    try:
        module = import_code(setup, runner, trace)
    except BaseException as error:
        # A user's module may raise anything, SystemExit too.
        failed = failure(error, setup)
        return Report(error=failed.message, details=failed.traceback)
    finally:
        trace.remove()
    report = Report(seconds=time.monotonic() - started, packages=packages(trace))
    report.faults = list(map(str, fork_check.check(trace, before, runner.rehearse)))
    report.flows = flows(module, setup)
    return report


def packages(trace: ImportTrace) -> list[Package]:
    """Return the packages that were imported, the slowest first."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for module, own in trace.seconds.items():
        # The file itself is traced by its name, too, around its module.
        seconds[module if module.endswith(".py") else module.partition(".")[0]] += own
    return sorted((Package(*item) for item in seconds.items()), key=lambda one: -one.seconds)


def flows(module: ModuleType, setup: Setup) -> list[FoundFlow]:
    """Return the flows that a module defines, and what is wrong with them."""
    found: dict[int, FoundFlow] = {}
    for name, value in vars(module).items():
        if isinstance(value, Flow):
            flow = cast("Flow[..., Any]", value)
            if flow.fn.__module__ == module.__name__ and id(flow) not in found:
                problem = problem_of(flow, name, setup)
                found[id(flow)] = FoundFlow(function=name, name=flow.name, problem=problem)
    return list(found.values())


def problem_of(flow: Flow[..., Any], function: str, setup: Setup) -> str:
    """Say why a flow could not be deployed; empty where it could."""
    project = Path(setup.path)
    try:
        described(
            flow,
            "check",
            project / setup.file,
            function,
            pool="default",
            queue="default",
            parameters=None,
            job_variables=None,
            tags=(),
            isolation="fork",
            project=project,
        )
        if flow.validates:
            flow.signature.prepare()
    except StokerError as error:
        return str(error)
    return ""


def main() -> None:
    """Inspect the file that standard input names."""
    setup = msgspec.json.decode(sys.stdin.buffer.read(), type=Setup)
    linux.become_subreaper()
    answer = os.dup(1)
    os.dup2(2, 1)
    report = msgspec.json.encode(inspect(setup))
    sys.stdout.flush()
    with os.fdopen(answer, "wb") as file:
        file.write(report)
    # A file may have started threads and processes that do not end.
    sys.stderr.flush()
    linux.end_tree(END_TIME)
    os._exit(0)


if __name__ == "__main__":
    main()
