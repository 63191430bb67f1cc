"""Containers as processes of this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO

from stoker.testing.ecs.runners import OUT_OF_MEMORY, CannotStart, Container

_SHIM = Path(__file__).with_name("shim.py")
_PATH = (
    f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)


@dataclass(slots=True, eq=False)
class _Running:
    process: subprocess.Popen[bytes]
    orders: IO[bytes]
    thread: Thread

    def order(self, what: bytes) -> None:
        try:
            self.orders.write(what)
            self.orders.flush()
        except (BrokenPipeError, ValueError):
            return  # it has ended


class ProcessRunner:
    """Runs each container as a process, its own session, in a directory of its own.

    It sees its image's environment and what its task gives it, and nothing of this process's.
    When its first process ends, whatever that has started ends too, as in a container. A container
    that outgrows its memory is killed.

    Args:
        environment: The environment of every image. The default finds the programs beside this
            Python, so that ``python`` and ``stoker`` are the ones of the test.
        images: What an image runs where neither task definition nor override says.
        pid_1: Whether the first process of a container is PID 1 of a namespace of its own, as in a
            real container: a signal that it has no handler for does nothing, SIGTERM included. It
            needs root.

    Raises:
        PermissionError: `pid_1` without root.

    Example:
        >>> runner = ProcessRunner(images={"stoker-host": ["stoker", "host", "start"]})
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str] | None = None,
        images: Mapping[str, Sequence[str]] | None = None,
        pid_1: bool = False,
    ) -> None:
        if pid_1 and os.geteuid() != 0:
            raise PermissionError("a PID namespace needs root")
        self._namespace = "1" if pid_1 else "0"
        self._environment = dict(environment) if environment is not None else {"PATH": _PATH}
        self._images = dict(images or {})
        self._running: dict[tuple[str, str], _Running] = {}
        self._root: TemporaryDirectory[str] | None = None
        self._started = 0

    def start(self, container: Container) -> None:
        """Start its process.

        Raises:
            CannotStart: There is no such program.
        """
        command = container.command or tuple(self._images.get(container.image, ()))
        self._started += 1
        if self._root is None:
            self._root = TemporaryDirectory(prefix="stoker-ecs-")
        home = Path(self._root.name) / str(self._started)
        home.mkdir()
        environment = {"HOME": str(home), **self._environment, **container.environment}
        if not command:
            raise CannotStart(
                "CannotStartContainerError: Error response from daemon: no command specified"
            )
        if shutil.which(command[0], path=environment.get("PATH", os.defpath)) is None:
            raise CannotStart(
                "CannotStartContainerError: failed to create containerd task: OCI runtime create "
                f'failed: exec: "{command[0]}": executable file not found in $PATH: unknown'
            )
        reading, writing = os.pipe()
        memory = str(container.memory or 0)
        process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                str(_SHIM),
                str(writing),
                memory,
                self._namespace,
                *command,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=environment,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        assert process.stdin is not None
        thread = Thread(target=self._follow, args=(container, process, reading, home), daemon=True)
        self._running[container.key] = _Running(process, process.stdin, thread)
        thread.start()

    def _follow(
        self, container: Container, process: subprocess.Popen[bytes], status: int, home: Path
    ) -> None:
        """Take in what it writes, and at its end how it ended."""
        assert process.stdout is not None
        with process.stdout as written, os.fdopen(status) as end:
            for line in written:
                container.log(line.decode(errors="replace").rstrip("\n"))
            said = end.read().split()
        process.wait()
        running = self._running.pop(container.key, None)
        if running is not None:
            running.orders.close()
        shutil.rmtree(home, ignore_errors=True)
        # Nothing said: the shim itself was killed.
        code = int(said[0]) if said else 128 + SIGKILL
        container.exited(code, OUT_OF_MEMORY if "oom" in said else None)

    def signal(self, container: Container, number: int) -> None:
        """Send SIGTERM to its first process, or SIGKILL to all."""
        running = self._running.get(container.key)
        if running is not None:
            running.order(b"K" if number == SIGKILL else b"T")

    def close(self) -> None:
        """Kill all, and wait for their ends."""
        ending = list(self._running.values())
        for running in ending:
            running.order(b"K")
        for running in ending:
            running.thread.join(timeout=10)
        if self._root is not None:
            self._root.cleanup()
