"""``stoker check``."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stoker.cli.output import as_json, print_json
from stoker.domain.errors import Invalid

if TYPE_CHECKING:
    from stoker.inspection import Report

LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders that hold no project's own files; nor do hidden ones, and virtual environments."""
SLOWEST = 5
"""Packages that are named."""
WORTH_NAMING = 0.005
"""Seconds; faster packages are not."""


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that the code is imported from; found by its files by default.",
)
@as_json
def check(path: Path, project: Path | None, as_json: bool) -> None:
    """Import the flows of PATH, a file or a folder, as a host would, and say what it finds.

    That is: which flows can be deployed, what is not safe to fork and which module is to blame,
    how long each file takes to import and by which packages. Ends with 1 where a file cannot be
    imported or a flow cannot be deployed.
    """
    found = {str(file): _inspect(file, project) for file in files(path)}
    if path.is_dir():
        # A helper module has no flow; a file that cannot be imported may have some.
        found = {name: one for name, one in found.items() if one.flows or one.error}
    if as_json:
        print_json(found)
    elif not found:
        click.echo(f"No flows in {path}.")
    else:
        for name, report in found.items():
            for line in lines(name, report, project):
                click.echo(line)
    bad = any(one.error or any(flow.problem for flow in one.flows) for one in found.values())
    sys.exit(1 if bad else 0)


def files(path: Path) -> Iterator[Path]:
    """Return a file, or those of a folder's that may hold flows."""
    if path.is_file():
        yield path
        return
    for folder, names, file_names in os.walk(path):
        here = Path(folder)
        names[:] = sorted(name for name in names if _is_project(here / name))
        for name in sorted(file_names):
            if name.endswith(".py") and _may_hold_flows(here / name):
                yield here / name


def _is_project(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in LEFT_OUT
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _may_hold_flows(file: Path) -> bool:
    if not file.is_file():
        # Such as a link that an editor locks a file with.
        return False
    text = file.read_bytes()
    return b"stoker" in text and b"flow" in text


def _inspect(file: Path, project: Path | None) -> "Report":
    from stoker.engine.describing import project_folder
    from stoker.host.control import Setup
    from stoker.inspection import Report

    path = file.resolve()
    folder = project_folder(path, project)
    setup = Setup(str(folder), str(path.relative_to(folder)), "", "stoker", "")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "stoker.inspection"],
        input=msgspec.json.encode(setup),
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode or not done.stdout:
        return Report(error=f"its import ended the process, {_how(done.returncode)}")
    try:
        return msgspec.json.decode(done.stdout, type=Report)
    except msgspec.DecodeError as error:
        raise Invalid(f"the inspection of {file} printed no report: {error}") from None


def _how(code: int) -> str:
    from stoker.host.agent.attempt import describe_exit

    if code >= 0:
        return f"with exit code {code}"
    return describe_exit(code).replace("its process", "which", 1)


def lines(name: str, report: "Report", project: Path | None = None) -> Iterator[str]:
    """Return what to print about a file."""
    if report.error:
        yield report.error if report.error.startswith(f"{name} ") else f"{name}: {report.error}"
        yield from report.details.splitlines()
        return
    slow = [one for one in report.packages[:SLOWEST] if one.seconds >= WORTH_NAMING]
    parts = ", ".join(f"{one.name} {one.seconds:.2f} s" for one in slow)
    yield f"{name}: imported in {report.seconds:.2f} s" + (f" ({parts})" if parts else "")
    options = "-n NAME" if project is None else f"-n NAME --project {project}"
    for flow in report.flows:
        what = flow.problem or f"can be deployed: stoker deploy {name}:{flow.function} {options}"
        yield f"  {flow.function}: {what}"
    if not report.flows:
        yield "  it defines no flow"
    if not report.faults:
        yield "  safe to fork"
        return
    yield "  not safe to fork: its processes are spawned ahead, and import it each. It is for"
    yield from (f"    {fault}" for fault in report.faults)
