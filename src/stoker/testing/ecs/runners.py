"""The seam between a task's state and what it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from signal import SIGKILL, SIGTERM
from typing import Protocol

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


class CannotStart(Exception):
    """A container cannot be started; says why, in the words of the agent."""


@dataclass(slots=True, eq=False)
class Container:
    """One container of a task, for a runner to run.

    Attributes:
        task_arn: Its task.
        name: Its name in the task definition.
        image: Its image.
        command: Entry point and command; empty where the image's own is to be run.
        environment: The variables that it gets besides its image's.
        memory: Its limit in MiB, if it has one.
        exited: Call it once, when it has ended: with the exit code, 128 + n for signal n, and
            with why, where there is more to say than the code.
        log: Call it with each line that it writes.
        later: Calls something after some seconds of the emulator's clock.
    """

    task_arn: str
    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    memory: int | None
    exited: Callable[[int, str | None], None]
    log: Callable[[str], None]
    later: Callable[[float, Callable[[], None]], None]

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others."""
        return self.task_arn, self.name


class Runner(Protocol):
    """Runs containers. Called with the emulator's lock held, so that it must not block."""

    def start(self, container: Container) -> None:
        """Start a container.

        Raises:
            CannotStart: It cannot be.
        """
        ...

    def signal(self, container: Container, number: int) -> None:
        """Send SIGTERM or SIGKILL to one that was started. One that has ended takes no notice."""
        ...

    def close(self) -> None:
        """End all that runs."""
        ...


@dataclass(slots=True)
class FakeRunner:
    """Runs nothing: for fleets of thousands, on any clock.

    Attributes:
        lifetime: The seconds after which a container ends by itself, `None` for never.
        exit_code: What it then exits with.
        grace: The seconds that it takes to end upon SIGTERM; it then exits with 0.
        running: What runs now.
    """

    lifetime: Callable[[Container], float | None] = lambda _: None
    exit_code: int = 0
    grace: float = 0.0
    running: dict[tuple[str, str], Container] = field(
        default_factory=dict[tuple[str, str], Container]
    )

    def start(self, container: Container) -> None:
        """Note that it runs."""
        self.running[container.key] = container
        seconds = self.lifetime(container)
        if seconds is not None:
            container.later(seconds, lambda: self.end(container, self.exit_code))

    def signal(self, container: Container, number: int) -> None:
        """End it, at once or after its grace."""
        if number == SIGKILL:
            self.end(container, 128 + SIGKILL)
        elif number == SIGTERM:
            container.later(self.grace, lambda: self.end(container, 0))

    def end(self, container: Container, code: int, reason: str | None = None) -> None:
        """Let it exit, if it runs."""
        if self.running.pop(container.key, None) is not None:
            container.exited(code, reason)

    def close(self) -> None:
        """Forget all."""
        self.running.clear()
