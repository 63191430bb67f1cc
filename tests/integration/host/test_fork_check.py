"""What an import leaves behind, and whether it is safe to fork."""

import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from stoker.host.control import Setup
from stoker.inspection import Report

THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"

SAFE = {
    "nothing": "",
    "a thread that has ended": "import threading\nt = threading.Thread(target=int)\nt.start()\n",
    "a log file": "import logging\nlogging.basicConfig(filename='x.log')\nlogging.info('x')\n",
    "random bytes": "f = open('/dev/urandom', 'rb')\n",
    "shared memory": "import os\nfd = os.memfd_create('x')\n",
    "a file without a name": "import tempfile\nf = tempfile.TemporaryFile()\n",
    "a helper of multiprocessing": (
        "from multiprocessing import resource_tracker\nresource_tracker.ensure_running()\n"
    ),
    "a closed socket": "import socket\nsocket.socketpair()[0].close()\n",
    "a process that goes on": "import os, time\nos.fork() or time.sleep(70)\n",
    "ends of processes that nobody hears of": (
        "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    ),
    "ends of processes that a handler hears of": (
        "import os, signal\nsignal.signal(signal.SIGCHLD, lambda *_: os.waitpid(-1, 0))\n"
    ),
    "more descriptors than select() takes": (
        "import os, resource\n"
        "_, most = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (2048, most))\n"
        "fds = [os.open('/dev/null', os.O_RDONLY) for _ in range(1100)]\n"
    ),
}

UNSAFE = {
    "a thread": (THREAD, "it runs the thread 'Thread-1 (wait)'"),
    "a file that is read": ("f = open('/etc/hostname')\n", "it has the file /etc/hostname open"),
    "a database": (
        "import sqlite3\ndb = sqlite3.connect('x.db')\ndb.execute('create table t (x)')\n",
        "x.db open",
    ),
    "a listening socket": (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\n",
        "it has a socket open (inet, bound to 127.0.0.1:",
    ),
    "an event loop": (
        "import asyncio\nloop = asyncio.new_event_loop()\n",
        "it has an event loop or the like open (eventpoll)",
    ),
    "a process with a pipe": (
        "import subprocess\np = subprocess.Popen(['cat'], stdin=subprocess.PIPE)\n",
        "it has a pipe open",
    ),
    "a fork that hangs": (
        "import os, threading\nos.register_at_fork(after_in_child=threading.Event().wait)\n",
        "a forked process hangs",
    ),
    "a fork that crashes": (
        "import os\nos.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), 11))\n",
        "a forked process is killed by SIGSEGV",
    ),
}


def inspected(project: Path, text: str) -> Report:
    """Have a file of a project inspected; it imports ``brings``, which has this text."""
    (project / "brings.py").write_text(text)
    (project / "flows.py").write_text("import json\nimport brings\nimport decimal\n")
    setup = Setup(str(project), "flows.py", "", "stoker", "")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "stoker.inspection"],
        input=msgspec.json.encode(setup),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Report)


@pytest.mark.parametrize("what", SAFE)
def test_safe(what: str, tmp_path: Path) -> None:
    assert inspected(tmp_path, SAFE[what]).faults == []


@pytest.mark.parametrize("what", UNSAFE)
def test_unsafe(what: str, tmp_path: Path) -> None:
    text, fault = UNSAFE[what]
    found = [one for one in inspected(tmp_path, text).faults if fault in one]
    assert found
    # Of what a fork does nobody knows which module brought it.
    assert found[0].startswith("a forked process" if "fork" in what else "brings: ")


def test_many_modules_of_one_zip_file(tmp_path: Path) -> None:
    """They have one loader, which is watched once."""
    names = [f"zipped_{number}" for number in range(400)]
    with zipfile.ZipFile(tmp_path / "library.zip", "w") as library:
        for name in names:
            library.writestr(f"{name}.py", "")
    path = f"import sys\nsys.path.insert(0, {str(tmp_path / 'library.zip')!r})\n"
    report = inspected(tmp_path, path + "".join(f"import {name}\n" for name in names))
    assert report.error == ""
    assert {*names} <= {package.name for package in report.packages}
