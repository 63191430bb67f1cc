"""The backend of scripts without a server: they write their runs into the home's store."""

import itertools
import math
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar, overload

from msgspec.structs import replace

from stoker.bootstrap.stores import open_store
from stoker.client import backend as http
from stoker.client.discovery import live_server
from stoker.domain.deployments import Deployment
from stoker.domain.errors import NotFound, Unavailable
from stoker.domain.ids import new_id
from stoker.domain.reports import Frame, Report
from stoker.domain.requests import (
    AcquireSlots,
    Answer,
    PutDeployment,
    ReadRun,
    Request,
    RunRequest,
    Slots,
)
from stoker.domain.runs import FlowRun
from stoker.ports.backend import Backend
from stoker.ports.store import Records, Store
from stoker.process_identity import identify
from stoker.services import administration
from stoker.services.concurrency import limiting
from stoker.services.concurrency.limiting import Holder
from stoker.services.lookup import need_run
from stoker.services.runs import scripts
from stoker.services.runs.ingest import ingest
from stoker.services.unit import Unit
from stoker.settings import Settings

T = TypeVar("T")

POLL = 0.05
"""Seconds between two looks whether slots have become free."""


def open_backend(settings: Settings) -> Backend:
    """Open the backend of a script for which no server is set.

    It reports through the server that runs on the same home, where there is one; else it
    writes for itself, and a server that is started later shows the runs.
    """
    url = live_server(settings.home)
    if url is not None:
        return http.open_backend(replace(settings, api_url=url))
    return EmbeddedBackend(settings)


class EmbeddedBackend:
    """A `Backend` that writes into the store itself, as the host of its own runs.

    Reports are gathered while a commit is on its way to the disk, and written together.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._start_afresh()
        os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        """Begin with nothing; in a forked child the parent's connection must not be used."""
        self._lock = threading.Lock()
        self._store = None
        self._host_id = ""
        self._buffer: list[tuple[str, tuple[Report, ...]]] = []
        self._scheduled = False
        self._numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))
        self._failure: BaseException | None = None

    def report(self, run_id: str, *reports: Report) -> None:
        """See `Backend.report`.

        Raises:
            Unavailable: The store cannot be opened.
            Conflict: A newer Stoker wrote it.
        """
        with self._lock:
            store = self._open()
            self._buffer.append((run_id, reports))
            if not self._scheduled:
                self._scheduled = True
                store.write(self._write_buffer).add_done_callback(self._note_failure)

    def flush(self) -> None:
        """See `Backend.flush`."""
        with self._lock:
            store = self._store
        if store is None:
            return
        store.write(lambda _: None).result()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    @overload
    def ask(self, request: RunRequest) -> FlowRun: ...
    @overload
    def ask(self, request: PutDeployment) -> Deployment: ...
    @overload
    def ask(self, request: AcquireSlots) -> Slots: ...
    def ask(self, request: Request) -> Answer:
        """See `Backend.ask`. What needs a server says so.

        Raises:
            Unavailable: The request is about a deployed run, or to pause.
            NotFound: There is no such run; or no such pool or queue, which a server makes.
        """
        match request:
            case ReadRun(run_id=run_id):
                return self._do(lambda records: need_run(records, run_id))
            case PutDeployment(deployment=deployment):
                return self._put_deployment(deployment)
            case AcquireSlots():
                return self._acquire(request)
            case _:
                raise Unavailable(
                    f"no server runs on {self._settings.home}, and a deployed flow needs one: "
                    "start it with `stoker up`, or set STOKER_API_URL"
                )

    def _acquire(self, request: AcquireSlots) -> Slots:
        """Wait for slots by asking again: no server pushes them to a script without one."""
        deadline = math.inf if request.timeout is None else time.monotonic() + request.timeout

        def ask(unit: Unit) -> Slots | limiting.Waits:
            return limiting.ask(unit, request, Holder(host_id=self._host_id))

        def give_up(unit: Unit) -> bool:
            return limiting.give_up(unit, request, Holder(host_id=self._host_id))

        while isinstance(found := self._unit(ask), limiting.Waits):
            left = deadline - time.monotonic()
            if left <= 0:
                return Slots(granted=not self._unit(give_up), limited=found.limited)
            self._grant(request)
            time.sleep(min(POLL, left))
        return found

    def _grant(self, request: AcquireSlots) -> None:
        self._unit(lambda unit: limiting.grant(unit, request.kind, request.names))

    def give_back(self, request_id: str) -> None:
        """See `Backend.give_back`. Who waits gets the slots in the same transaction."""

        def give_back(unit: Unit) -> None:
            limiting.give_back(unit, request_id, Holder(host_id=self._host_id))
            for kind, name in unit.freed:
                limiting.grant(unit, kind, [name])

        with self._lock:
            store = self._store
        if store is not None:
            store.write(lambda records: give_back(Unit(records, time.time())))

    def _unit(self, work: Callable[[Unit], T]) -> T:
        return self._do(lambda records: work(Unit(records, time.time())))

    def _put_deployment(self, deployment: Deployment) -> Deployment:
        def put(records: Records) -> Deployment:
            unit = Unit(records, time.time())
            put = administration.put_deployment(unit, deployment)
            unit.close()
            return put

        try:
            return self._do(put)
        except NotFound as error:
            raise NotFound(
                f"{error}. That needs a server: start one with `stoker up`, which makes the pool "
                "`default`"
            ) from None

    def close(self) -> None:
        """See `Backend.close`."""
        with self._lock:
            store, host_id = self._store, self._host_id
            self._store = None
        if store is not None:
            store.write(lambda records: _leave(records, host_id))
            store.close()

    def _do(self, work: Callable[[Records], T]) -> T:
        with self._lock:
            store = self._open()
        return store.write(work).result()

    def _open(self) -> Store:
        if self._store is None:
            store = open_store(self._settings)
            self._host_id = new_id(time.time())
            process, lease = identify(), self._settings.lease

            def register(records: Records) -> None:
                now = time.time()
                scripts.register(Unit(records, now), self._host_id, process, now + lease)

            try:
                store.write(register).result()
            except BaseException:
                store.close()
                raise
            self._store = store
        return self._store

    def _write_buffer(self, records: Records) -> None:
        """Write what has been gathered. Runs in the store's writer thread."""
        with self._lock:
            gathered, self._buffer = self._buffer, []
            self._scheduled = False
        frames: list[Frame] = []
        for run_id, group in itertools.groupby(gathered, key=lambda item: item[0]):
            reports = [report for _, several in group for report in several]
            frames.append(Frame(run_id, 1, next(self._numbers[run_id]), reports))
        unit = Unit(records, time.time())
        ingest(unit, self._host_id, frames)
        unit.close()

    def _note_failure(self, done: Future[None]) -> None:
        error = done.exception()
        if error is not None:
            self._failure = error


def _leave(records: Records, host_id: str) -> None:
    unit = Unit(records, time.time())
    scripts.leave(unit, host_id)
    unit.close()
