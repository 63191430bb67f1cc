"""Writes that are noted and go to the database together, each kind of them with one query."""

from typing import TYPE_CHECKING, Any

from msgspec import json

from stoker.domain.errors import Outrun
from stoker.domain.transitions import Transition

if TYPE_CHECKING:
    from stoker.storage.records.statements import Session

Values = dict[str, Any]
Group = tuple[str, str, str, str]
Place = tuple[float, str]


class Known:
    """What a transaction has read, or written, of a run: what its next change is judged by."""

    __slots__ = ("attempt", "seq", "version")

    def __init__(self, version: int, attempt: int, seq: int) -> None:
        self.version = version
        self.attempt = attempt
        self.seq = seq


class RunChange:
    """All changes of one run since they were written last."""

    def __init__(self, run_id: str) -> None:
        self._id = run_id
        self._version: int | None = None
        self._state: Values = {}
        self._more: Values = {"seq": None, "anatomy": None, "run_name": None}

    @property
    def has_state(self) -> bool:
        """Whether its state changes."""
        return self._version is not None

    def add(self, transition: Transition) -> None:
        """It enters a state; of several in a row only the last one is seen."""
        state, result, before = transition.state, transition.result, self._state
        if self._version is None:
            self._version = transition.version
        if before and before["attempt"] != transition.attempt:
            self._more["seq"] = 0
        self._state = {
            "type": state.type,
            "name": state.name,
            "at": state.at,
            "message": state.message,
            "new_version": transition.version + 1,
            "attempt": transition.attempt,
            "run_count": transition.run_count,
            "host_id": transition.host_id,
            "started": state.at if transition.first_start else before.get("started"),
            "ended": state.at if state.is_terminal else None,
            "due": transition.due,
            "queued": int(transition.queued),
            "crashes": transition.crashes,
            "paused_until": transition.paused_until,
            "result_format": result.format if result else None,
            "result_data": result.data if result else None,
            "result_file": result.file if result else None,
        }

    def set(self, **values: object) -> None:
        """Set ``seq``, ``anatomy`` or ``run_name``."""
        self._more.update(values)

    @property
    def values(self) -> Values:
        """The values of ``change_run``, or of ``touch_run`` where its state stays."""
        both = {"id": self._id, **self._more}
        return both | {"version": self._version} | self._state if self.has_state else both


class Pending:
    """What a transaction has decided to write and has not written yet."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self._new: list[Values] = []
        self._changes: dict[str, RunChange] = {}
        self._states: list[Values] = []
        self._ended: list[Values] = []
        self._leases: dict[str, Values] = {}
        self._groups: dict[Group, Place] = {}
        self._queued: list[Values] = []

    def insert(self, values: Values) -> None:
        """Store a new run."""
        self._new.append(values)
        self.known[values["id"]] = Known(values["version"], values["attempt"], 0)

    def change(self, run_id: str) -> RunChange:
        """The changes of one run, to add to."""
        found = self._changes.get(run_id)
        if found is None:
            found = self._changes[run_id] = RunChange(run_id)
        return found

    def enter(self, session: "Session", transition: Transition) -> None:
        """A run enters a state; it may give back what it holds, or enter its queue."""
        run_id, state = transition.run_id, transition.state
        if transition.ends_attempt and run_id in self._leases:
            self.write(session)
        self.change(run_id).add(transition)
        self._states.append(
            {
                "run_id": run_id,
                "version": transition.version + 1,
                "type": state.type,
                "name": state.name,
                "at": state.at,
                "message": state.message,
            }
        )
        if transition.ends_attempt:
            self._ended.append({"run": run_id})
        if transition.queued:
            self._queued.append({"run": run_id})

    def lease(self, values: Values) -> None:
        """A run holds this."""
        self._leases[values["run_id"]] = values

    def note(self, group: Group, place: Place) -> None:
        """A run has entered a claim group."""
        self._groups[group] = min(place, self._groups.get(group, place))

    def note_run(self, run_id: str) -> None:
        """A run has entered its claim group, whichever that is."""
        self._queued.append({"run": run_id})

    @property
    def is_any(self) -> bool:
        """Whether `write` would write anything."""
        return bool(self._new or self._changes or self._leases)

    @property
    def has_notes(self) -> bool:
        """Whether `write_notes` would write anything."""
        return bool(self._groups or self._queued)

    def write(self, session: "Session") -> None:
        """Write all but what is for claim groups.

        Raises:
            Outrun: Somebody else has changed a run meanwhile.
        """
        if self._new:
            rows, self._new = self._new, []
            session.run_many("insert_run", rows)
        if self._changes:
            self._write_changes(session)
        if self._leases:
            leases, self._leases = list(self._leases.values()), {}
            session.run_many("put_lease", leases)

    def _write_changes(self, session: "Session") -> None:
        changes, self._changes = list(self._changes.values()), {}
        states, self._states = self._states, []
        ended, self._ended = self._ended, []
        counts: list[tuple[int, Any]] = []
        for query, rows in (
            ("change_run", [one.values for one in changes if one.has_state]),
            ("touch_run", [one.values for one in changes if not one.has_state]),
        ):
            if rows:
                counts.append((len(rows), session.run_many(query, rows)))
        if states:
            session.run_many("insert_state", states)
        if ended:
            self._end(session, ended)
        for number, count in counts:
            if count.rowcount != number:
                raise Outrun("a flow run was changed by somebody else; read it again")

    def _end(self, session: "Session", ended: list[Values]) -> None:
        """Attempts are over: what they hold is free, or their borrowers' own."""
        ids = json.encode([one["run"] for one in ended]).decode()
        # Few have lent anything, and the inheritance of one may be that of the next.
        found = {row[0] for row in session.run("tied_among", (ids,)).fetchall()}
        tied = [one for one in ended if one["run"] in found]
        if tied:
            session.run_many("inherit_keys", tied)
            session.run_many("drop_waits_of", tied)
        session.run_many("unblock_freed", ended)
        session.run_many("drop_lease", ended)

    def write_notes(self, session: "Session") -> None:
        """Write what is for claim groups, in one order for all."""
        if self._groups:
            groups, self._groups = self._groups, {}
            names = ("pool", "lane", "queue", "deployment_id", "due", "head")
            rows: list[Values] = [
                dict(zip(names, (*one, *groups[one]), strict=True)) for one in sorted(groups)
            ]
            session.run_many("note_group", rows)
        if self._queued:
            queued, self._queued = self._queued, []
            session.run_many("note_run", queued)
