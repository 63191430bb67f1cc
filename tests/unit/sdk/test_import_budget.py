"""What must not be loaded, where users count the milliseconds and megabytes."""

import subprocess
import sys

import pytest

HEAVY = [
    "asyncio",
    "boto3",
    "click",
    "concurrent.futures.process",
    "http.client",
    "httptools",
    "litestar",
    "multiprocessing",
    "pydantic",
    "pydantic_core",
    "rich",
    "sqlite3",
    "ssl",
    "urllib.request",
    "uvicorn",
    "uvloop",
    "websockets",
]

CHILD = """
import types
from stoker import flow, get_run_logger, task
from stoker.domain.deployments import Code
from stoker.engine import runner
from stoker.engine.backends import NULL
from stoker.wire.host import Job

@task
def step():
    return 1

@flow(retries=1, log_prints=True)
def entry():
    get_run_logger().info("hello")
    print("hello")
    return [step(), step.submit().result()]

module = types.ModuleType("users")
module.entry = entry
runner.prepare(module)
runner.rehearse()
job = Job(run_id="r", attempt=1, code=Code(path="", file=""), function="entry")
assert runner.execute(module, job, NULL).state.name == "Completed"
"""


@pytest.mark.parametrize(
    "code",
    ["import stoker", "from stoker import flow, task", "import stoker.engine.runner", CHILD],
    ids=["import", "decorators", "runner", "child"],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    check = f"\nimport sys\nprint(*sorted({HEAVY!r} & sys.modules.keys()))"
    check = check.replace(repr(HEAVY), f"set({HEAVY!r})")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + check],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_package_alone_loads_none_of_its_parts() -> None:
    code = "import sys, stoker; print(*(n for n in sys.modules if n.startswith('stoker.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there() -> None:
    import stoker

    for name in stoker.__all__:
        assert getattr(stoker, name) is not None
        assert name in dir(stoker)
    with pytest.raises(AttributeError, match="no attribute 'flows_'"):
        stoker.flows_  # noqa: B018
