"""Describes the deployments of a file in a process of its own: ``python -m`` this module.

So the user's file is imported afresh each time, and never into the process of the tests. Reads
an `Order` on standard input and writes the `Deployment`s to standard output, both as JSON.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from stoker.deployments import deployment_of
from stoker.domain.deployments import Deployment
from stoker.domain.errors import Invalid, StokerError
from stoker.flows import Flow
from stoker.host.code.loader import load


class Order(Struct, kw_only=True):
    """Which flows to describe, and how; see `stoker.deployments.deployment_of`.

    Attributes:
        functions: The flows' functions; empty for all flows of the file.
    """

    file: str
    functions: list[str]
    name: str
    pool: str
    queue: str
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    job_variables: dict[str, Any] = field(default_factory=dict[str, Any])
    tags: list[str] = field(default_factory=list[str])
    isolation: str = "fork"
    project: str


def describe(order: Order, environ: Mapping[str, str]) -> list[Deployment]:
    """Return the deployments that a process of its own, with this environment, describes.

    Raises:
        Invalid: The file cannot be imported, or has no such flow.
    """
    done = subprocess.run(
        [sys.executable, "-m", "stoker.testing.deploying"],
        input=msgspec.json.encode(order),
        env=dict(environ),
        capture_output=True,
        timeout=60.0,
        check=False,
    )
    if done.returncode:
        raise Invalid(done.stderr.decode(errors="replace").strip())
    return msgspec.json.decode(done.stdout, type=list[Deployment])


def flows_of(order: Order) -> list[str | None]:
    """Return the names of the flows to describe; None stands for the file's only one."""
    if order.functions:
        return list(order.functions)
    if order.project not in sys.path:
        sys.path.insert(0, order.project)
    module = load(order.project, os.path.relpath(order.file, order.project))
    return [name for name, value in vars(module).items() if isinstance(value, Flow)]


def main() -> None:
    """Describe the deployments that standard input orders."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    order.file = os.path.realpath(order.file)
    order.project = os.path.realpath(order.project)
    answer = os.fdopen(os.dup(1), "wb")
    # What the file prints at its import is no answer.
    os.dup2(2, 1)
    try:
        found = [
            deployment_of(
                order.file,
                function,
                name=order.name,
                pool=order.pool,
                queue=order.queue,
                parameters=order.parameters,
                job_variables=order.job_variables,
                tags=order.tags,
                isolation=order.isolation,
                project=order.project,
            )
            for function in flows_of(order)
        ]
    except StokerError as error:
        sys.exit(str(error))
    answer.write(msgspec.json.encode(found))
    answer.close()


if __name__ == "__main__":
    main()
