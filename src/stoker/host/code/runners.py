"""Runners: the modules that know what a flow is, found by the name that a job carries."""

import importlib
from types import ModuleType
from typing import Protocol, cast

from stoker.domain.reports import Finished
from stoker.ports.backend import Backend
from stoker.wire.host import Job

RUNNERS = {"stoker": "stoker.engine.runner"}
"""Our own; others register in the entry point group ``stoker.runners``."""


class Runner(Protocol):
    """What a runner module has."""

    def prepare(self, module: ModuleType) -> None:
        """Get an imported module ready, once, before children are forked."""
        ...

    def rehearse(self) -> None:
        """Warm a child up before it waits for its job. Leaves no trace."""
        ...

    def execute(self, module: ModuleType, job: Job, backend: Backend) -> Finished:
        """Run the job's function and say how it ended. Errors of the user's code are ends too."""
        ...


def find(name: str) -> Runner:
    """Return the runner of a name.

    Raises:
        LookupError: No runner has that name.
    """
    target = RUNNERS.get(name)
    if target is None:
        from importlib.metadata import entry_points

        found = tuple(entry_points(group="stoker.runners", name=name))
        if not found:
            raise LookupError(f"no runner is called {name!r}; is its package installed here?")
        target = found[0].value
    return cast(Runner, importlib.import_module(target))
