"""What a module brings at its import decides how its runs' processes come about.

Either way the library works in them, and starts are hot.
"""

import importlib.util
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.pools import WarmKnobs
from stoker.testing import Harness, harness, result_of

PROJECT = Path(__file__).parent / "forking"

SAFE: dict[str, Any] = {
    "with_numpy": True,
    "with_pandas": 250_000,
    "with_sklearn": 3,
    "with_pyarrow": 49_995_000,
    "with_grpc": "hello",
}
if importlib.util.find_spec("torch") is not None:
    SAFE["with_torch"] = 125_000.0

UNSAFE: dict[str, tuple[Any, str]] = {
    "with_connection": (42, "with_connection: it has the file"),
    "with_thread": (True, "poller: it runs the thread 'poller'"),
    "with_socket": ("own", "with_socket: it has a socket open (unix"),
    "with_loop": (42, "with_loop: it has an event loop or the like open (eventpoll)"),
    "with_one_blas_thread": ([1], "poller: it runs the thread 'poller'"),
    "grpc_at_import": ("hello", "grpc_at_import: it runs the thread"),
}


@pytest.fixture(scope="module")
def stoker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """A host of two slots."""
    warm = WarmKnobs(min=1, max=1, slots_per_host=2)
    with harness(tmp_path_factory.mktemp("forking"), warm=warm) as running:
        yield running


def deploy(stoker: Harness, name: str) -> str:
    """Deploy the flow of a file, and return the deployment's name."""
    return stoker.deploy(PROJECT / f"{name}.py", name, project=PROJECT)[name].full_name


def faults(stoker: Harness, deployment: str) -> list[str]:
    """What the pool says against forking a deployment's code."""
    found = [one for one in stoker.api.pool("default").unsafe if deployment in one.deployments]
    return found[0].faults if found else []


def run_some(stoker: Harness, deployment: str, wanted: Any, **parameters: Any) -> None:
    """Run it a few times: more than there are slots, and hot but for the first."""
    for number in range(4):
        run = stoker.run(deployment, parameters=parameters)
        assert result_of(run) == wanted, run.state
        assert number == 0 or run.anatomy.start_class is StartClass.HOT


@pytest.mark.parametrize("name", SAFE)
def test_safe_code_is_forked(stoker: Harness, name: str) -> None:
    deployment = deploy(stoker, name)
    run_some(stoker, deployment, SAFE[name])
    assert faults(stoker, deployment) == []


@pytest.mark.parametrize("name", UNSAFE)
def test_children_of_unsafe_code_are_spawned_ahead(stoker: Harness, name: str) -> None:
    deployment = deploy(stoker, name)
    wanted, fault = UNSAFE[name]
    run_some(stoker, deployment, wanted)
    found = faults(stoker, deployment)
    assert any(one.startswith(fault) for one in found), found


def test_spawned_children_have_random_numbers_of_their_own(stoker: Harness) -> None:
    deployment = deploy(stoker, "with_pandas_and_thread")
    assert len({stoker.value(deployment) for _ in range(6)}) == 6
    assert faults(stoker, deployment)


class Queues(BaseHTTPRequestHandler):
    """Answers like AWS SQS."""

    def do_POST(self) -> None:
        body = json.dumps({"QueueUrls": ["https://queue/1"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def test_a_client_of_boto3_is_forked(stoker: Harness) -> None:
    deployment = deploy(stoker, "with_boto3")
    with HTTPServer(("127.0.0.1", 0), Queues) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_port}"
            run_some(stoker, deployment, ["https://queue/1"], endpoint=endpoint)
        finally:
            server.shutdown()
            thread.join()
    assert faults(stoker, deployment) == []


def test_what_only_one_process_can_have_makes_runs_wait(stoker: Harness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    variables = {"env": {"FORKING_TEST_PORT": port}}
    file = PROJECT / "with_port.py"
    deployed = stoker.deploy(file, "with_port", project=PROJECT, job_variables=variables)
    runs = [stoker.start(deployed["with_port"].full_name) for _ in range(3)]
    for run in runs:
        ended = stoker.wait(run)
        # Its connection to the agent and its port: nothing of the zygote's, none of a sibling's.
        assert result_of(ended) == ["socket", "socket"], ended.state
        assert [line.message for line in stoker.logs(run)] == ["running with_port"]


def test_the_verdict_is_shown(stoker: Harness) -> None:
    deployment = deploy(stoker, "with_thread")
    stoker.run(deployment)
    shown = stoker.cli("work-pool", "inspect", "default").stdout
    assert "with_thread.py (with-thread/test) is not safe to fork" in shown
    assert "poller: it runs the thread 'poller'" in shown


def test_edited_code_that_is_not_safe_is_run_as_it_is_now(stoker: Harness, tmp_path: Path) -> None:
    file = tmp_path / "edited.py"
    text = "import poller\nfrom stoker import flow\n\n@flow\ndef edited() -> int:\n    return {}\n"
    shutil.copy(PROJECT / "poller.py", tmp_path)
    file.write_text(text.format(0))
    deployment = stoker.deploy(file, "edited", project=tmp_path)["edited"].full_name
    for number in range(5):
        file.write_text(text.format(number))
        assert stoker.value(deployment) == number
    file.write_text(text.format(-1).replace("import poller", ""))
    assert stoker.value(deployment) == -1
    assert faults(stoker, deployment) == []
