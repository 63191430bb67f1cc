"""Flow runs: their records, states and numbers of frames."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from stoker.domain.anatomy import StartAnatomy
from stoker.domain.runs import FlowRun
from stoker.domain.states import StateRecord, StateType
from stoker.domain.transitions import Transition


class RunFilter(Struct, kw_only=True, frozen=True):
    """Which runs to list; an empty field takes all."""

    states: Sequence[StateType] = ()
    deployment: str | None = None
    flow: str | None = None
    pool: str | None = None
    parent: str | None = None
    before: str | None = None
    limit: int = 50


class RunRecords(Protocol):
    """Flow runs, within one transaction."""

    def insert_runs(self, runs: Sequence[FlowRun], keys: Sequence[str | None]) -> None:
        """Store new runs, each with its idempotency key."""
        ...

    def insert_subflow(self, run: FlowRun) -> bool:
        """Store a run that executes in its caller's process; False if it is known already."""
        ...

    def flow_run(self, run_id: str) -> FlowRun | None: ...
    def flow_runs_of(self, run_ids: Sequence[str]) -> list[FlowRun]:
        """The runs of these ids that there are, in any order."""
        ...

    def runs_of_keys(self, deployment_id: str, keys: Sequence[str]) -> dict[str, FlowRun]:
        """The runs of a deployment that were started with these idempotency keys, by key."""
        ...

    def flow_runs(self, which: RunFilter) -> list[FlowRun]: ...
    def open_subflows(self, run_ids: Sequence[str]) -> list[FlowRun]:
        """Runs in the processes of these, at any depth, that are not over."""
        ...

    def open_runs_of(self, host_id: str) -> list[FlowRun]:
        """Runs without a deployment that a script executes and that are not over."""
        ...

    def apply(self, transitions: Sequence[Transition]) -> list[bool]:
        """Apply each if its run is still at the version it names; say which were applied.

        With one that ends an attempt its lease and its waits go; keys that it had lent become the
        borrower's own, or stay lent by whom it had borrowed them of. Where somebody else changes a
        run after it was read, the unit of work ends with `Outrun`.
        """
        ...

    def advance(self, run_id: str, seq: int) -> bool:
        """Note a frame's number; False if it was seen before."""
        ...

    def set_anatomy(self, run_id: str, anatomy: StartAnatomy) -> None: ...
    def delete_run(self, run_id: str) -> None:
        """Delete a run, the runs in its process at any depth, and all that they left behind."""
        ...

    def move_run(self, run_id: str, pool: str, queue: str, lane: str) -> None:
        """Have a run that is to begin again execute elsewhere."""
        ...

    def set_lane(self, run_id: str, lane: str) -> None: ...
    def rename_run(self, run_id: str, name: str) -> None: ...
    def states(self, run_id: str) -> list[StateRecord]: ...
