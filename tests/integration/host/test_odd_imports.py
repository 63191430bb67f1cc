"""Codes whose import changes what their zygote itself works with."""

import asyncio
from pathlib import Path

import pytest

from stoker.domain.deployments import Code
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess

pytestmark = pytest.mark.anyio

THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
"""With it no child can be forked from the zygote that has imported it."""


@pytest.fixture
def odd(project: Path) -> Code:
    return Code(path=str(project), file="odd.py")


async def test_signals_that_it_blocks(host: HostProcess, odd: Code, project: Path) -> None:
    """The zygote hears of its children's ends all the same."""
    (project / "odd.py").write_text(
        "import os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})\n"
        "def leave():\n"
        "    os._exit(3)\n"
    )
    assert "exit code 3" in (await host.run(odd, "leave")).state.message


async def test_finders_that_it_replaces(host: HostProcess, odd: Code, project: Path) -> None:
    (project / "odd.py").write_text(
        "import sys\nsys.meta_path = sys.meta_path[1:]\ndef value():\n    return 1\n"
    )
    assert await host.value(odd, "value") == 1


async def test_a_timer_that_it_sets(host: HostProcess, odd: Code, project: Path) -> None:
    """It would go off in a zygote that starts afresh, and has no handler for it."""
    (project / "odd.py").write_text(
        "import signal, time\n"
        f"{THREAD}"
        "count = 0\n"
        "def ring(number, frame):\n"
        "    global count\n"
        "    count += 1\n"
        "signal.signal(signal.SIGALRM, ring)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)\n"
        "def rings():\n"
        "    while count < 5:\n"
        "        time.sleep(0.01)\n"
        "    return count\n"
    )
    assert await host.value(odd, "rings") >= 5


async def test_libraries_that_it_only_looks_for(
    host: HostProcess, odd: Code, project: Path
) -> None:
    """They are not imported in its stead."""
    pytest.importorskip("numpy")
    (project / "odd.py").write_text(
        "import importlib.util, sys\n"
        f"{THREAD}"
        "importlib.util.find_spec('numpy')\n"
        "def loaded():\n"
        "    return 'numpy' in sys.modules\n"
    )
    assert await host.value(odd, "loaded") is False


async def test_libraries_that_it_imports(host: HostProcess, odd: Code, project: Path) -> None:
    """They are imported once, where the code itself has to be imported by each child."""
    pytest.importorskip("numpy")
    (project / "odd.py").write_text(f"import numpy\n{THREAD}def value():\n    return 1\n")
    assert await host.value(odd, "value") == 1
    (zygote,) = host.zygotes()
    assert "/numpy/" in Path(f"/proc/{zygote}/maps").read_text()


async def test_an_import_that_hangs_in_children_until_it_is_edited(
    api: FakeApi, host: HostProcess, odd: Code, project: Path, tmp_path: Path
) -> None:
    (project / "odd.py").write_text(
        "import pathlib, time\n"
        f"{THREAD}"
        f"first, hung = map(pathlib.Path, {[str(tmp_path / name) for name in ('1', '2')]!r})\n"
        "while first.exists():\n"
        "    hung.touch()\n"
        "    time.sleep(0.01)\n"
        "first.touch()\n"
    )
    runs = [await host.assign(odd, "value")]
    async with asyncio.timeout(20):
        while not (tmp_path / "2").exists():
            await asyncio.sleep(0.01)
    (project / "odd.py").write_text("def value():\n    return 1\n")
    runs.append(await host.assign(odd, "value"))
    for run_id in runs:
        assert (await api.finished(run_id)).state.name == "Completed"


async def test_what_it_writes_into_its_connection(
    host: HostProcess, odd: Code, project: Path
) -> None:
    """A program may write to any descriptor: nobody can read that, and its end is heard."""
    assert host.process is not None
    (project / "odd.py").write_text(
        "import os, signal, time\n"
        f"os.kill({host.process.pid}, signal.SIGSTOP)\n"
        "if os.fork() == 0:\n"
        "    time.sleep(0.3)\n"
        f"    os.kill({host.process.pid}, signal.SIGCONT)\n"
        "    os._exit(0)\n"
        "for _ in range(3):\n"
        "    os.write(3, b'nonsense')\n"
        "os._exit(1)\n"
    )
    ended = await host.run(odd, "value")
    assert ended.state.message == "the import of odd.py ended its process with exit code 1"
    assert not ended.lost


async def test_an_import_that_is_killed(host: HostProcess, odd: Code, project: Path) -> None:
    """Somebody else may have done it: the run is lost, and crash retries begin it anew."""
    (project / "odd.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    ended = await host.run(odd, "value")
    assert "the import of odd.py ended its process" in ended.state.message
    assert ended.lost
