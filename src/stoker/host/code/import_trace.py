"""Watches an import: how long each module takes, and which threads and descriptors it brings.

It also notes which libraries could as well have been imported before.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")

STEPS = "create_module", "exec_module"
"""The steps of a loader in which a module's code runs: compiled modules may do so in both."""

INDEPENDENT = frozenset({"boto3", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "sqlalchemy"})
"""Large libraries that are the same whether imported early or late, but for the environment."""
PATCHERS = frozenset({"gevent", "eventlet"})
"""Libraries that change others, so that the order of imports matters."""


class _Folder:
    """The entries of a folder of ``/proc``, listed only when their number has changed.

    Args:
        path: The folder.
        count: Tells the number of its entries from its status, cheaply; 0 for unknown.
    """

    def __init__(self, path: str, count: Callable[[os.stat_result], int]) -> None:
        self._path = path
        self._count = count
        self._last = -1
        self._entries: frozenset[int] = frozenset()

    def entries(self) -> frozenset[int]:
        count = self._count(os.stat(self._path))
        if not count or count != self._last:
            # The listing itself has a descriptor open, which is gone again.
            listed = os.listdir(self._path)
            self._entries = frozenset(
                int(name) for name in listed if os.path.lexists(f"{self._path}/{name}")
            )
            self._last = count
        return self._entries


class _Frame:
    """A module whose code runs."""

    def __init__(self, name: str, threads: frozenset[int], files: frozenset[int]) -> None:
        self.name = name
        self.threads = threads
        self.files = files
        self.inner = 0.0


class ImportTrace:
    """See the module. Watches from `install` to `remove`.

    Attributes:
        seconds: Seconds that a module's own code took, by module; what it imports left out.
        threads: The module whose code started a thread, by thread id.
        files: The module whose code opened a descriptor, by descriptor.
        libraries: Modules of independent libraries that others imported, in order, as far as
            environment and import path were as at the beginning.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.threads: dict[int, str] = {}
        self.files: dict[int, str] = {}
        self.libraries: list[str] = []
        self._surroundings = _surroundings()
        # A thread is a sub-folder. Since Linux 6.2 the size is the number of open descriptors.
        self._tasks = _Folder("/proc/self/task", lambda status: status.st_nlink)
        self._fds = _Folder("/proc/self/fd", lambda status: status.st_size)
        self._stack: list[_Frame] = []
        self._watched: list[tuple[dict[str, Any], str]] = []

    def install(self) -> None:
        """Watch imports from now on."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Watch no import any more."""
        with suppress(ValueError):  # The code may have put a list of its own there.
            sys.meta_path.remove(self)
        for attributes, step in self._watched:
            attributes.pop(step, None)
        self._watched.clear()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as the finders behind this one do, and have its loader watched."""
        for finder in sys.meta_path:
            if finder is self:
                continue
            # Finders of a user's may have no such method.
            find: Callable[..., ModuleSpec | None] | None = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                self._watch_loader(spec)
                return spec
        return None

    def _watch_loader(self, spec: ModuleSpec) -> None:
        attributes: dict[str, Any] | None = getattr(spec.loader, "__dict__", None)
        # The loaders of built-in modules are classes, which all modules share.
        if attributes is None or isinstance(spec.loader, type):
            return
        for step in STEPS:
            method = getattr(spec.loader, step, None)
            # All modules of one folder in a zip file have the same loader.
            if method is not None and step not in attributes:
                attributes[step] = self._watching(method)
                self._watched.append((attributes, step))

    def _watching(self, step: Callable[[Any], T]) -> Callable[[Any], T]:
        def watched(argument: ModuleSpec | ModuleType) -> T:
            is_spec = isinstance(argument, ModuleSpec)
            spec: ModuleSpec | None = argument if is_spec else getattr(argument, "__spec__", None)
            if spec is None:  # A module made by hand.
                return step(argument)
            self._note_library(spec)
            return self.watch(spec.name, lambda: step(argument))

        return watched

    def watch(self, name: str, code: Callable[[], T]) -> T:
        """Run the code of a module, and note what it takes and brings."""
        frame = _Frame(name, self._tasks.entries(), self._fds.entries())
        self._stack.append(frame)
        started = time.monotonic()
        try:
            return code()
        finally:
            self._note(frame, time.monotonic() - started)

    def _note_library(self, spec: ModuleSpec) -> None:
        within = self._stack and _library_of(self._stack[-1].name) in INDEPENDENT
        if within or _library_of(spec.name) not in INDEPENDENT or spec.name in self.libraries:
            return
        installed = "site-packages" in (spec.origin or "")
        unpatched = sys.modules.keys().isdisjoint(PATCHERS)
        if installed and unpatched and _surroundings() == self._surroundings:
            self.libraries.append(spec.name)

    def _note(self, frame: _Frame, seconds: float) -> None:
        self._stack.pop()
        self.seconds[frame.name] = self.seconds.get(frame.name, 0.0) + seconds - frame.inner
        for thread in self._tasks.entries() - frame.threads:
            self.threads.setdefault(thread, frame.name)
        for fd in self._fds.entries() - frame.files:
            self.files.setdefault(fd, frame.name)
        if self._stack:
            self._stack[-1].inner += seconds


def _library_of(module: str) -> str:
    return module.partition(".")[0]


def _surroundings() -> tuple[dict[str, str], list[str]]:
    """What decides how a library is imported, and which one."""
    return dict(os.environ), [path for path in sys.path if "site-packages" in path]
