"""Which backend a process uses."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from stoker.domain.errors import Unavailable
from stoker.engine import backends
from stoker.engine.context import CURRENT, FlowContext
from stoker.settings import load
from stoker.testing.recording import RecordingBackend


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch):
    """The modules whose backends are opened, each a recording one."""
    names = []

    def open_by(module):
        real = import_module(module)
        assert callable(real.open_backend)

        def open_backend(settings):
            names.append(module)
            return RecordingBackend()

        return SimpleNamespace(open_backend=open_backend)

    monkeypatch.setattr(backends, "import_module", open_by)
    load.cache_clear()
    yield names
    backends.close()
    load.cache_clear()


def test_it_is_opened_once_at_its_first_use(opened) -> None:
    first = backends.current()
    assert backends.current() is first
    assert opened == ["stoker.embedded"]
    backends.close()
    assert isinstance(first, RecordingBackend)
    assert first.closed
    assert backends.current() is not first


def test_with_an_address_it_is_the_servers(opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_API_URL", "http://127.0.0.1:1")
    backends.current()
    assert opened == ["stoker.client.backend"]


def test_inside_a_run_it_is_the_runs(opened) -> None:
    own = RecordingBackend()
    token = CURRENT.set(FlowContext(id="r", name="", flow_name="", backend=own))
    try:
        assert backends.current() is own
    finally:
        CURRENT.reset(token)
    assert opened == []


def test_a_forked_child_opens_its_own(opened) -> None:
    mine = backends.current()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, b"own" if backends.current() is not mine else b"same")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 10) == b"own"
    os.close(read)
    os.close(write)


def test_the_null_backend_answers_nothing() -> None:
    with pytest.raises(Unavailable, match="no server to ask for str"):
        backends.NULL.ask("x")  # type: ignore[call-overload]


SCRIPT = """
from stoker import flow
from stoker.engine import backends
from stoker.testing.recording import RecordingBackend

class Loud(RecordingBackend):
    def close(self):
        print("closed after", len(self.reports))

backends.open_backend = Loud

@flow
def one():
    pass

one()
"""


def test_it_is_closed_at_exit(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("closed after ")
