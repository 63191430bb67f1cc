"""A simulated worker and its hosts: they speak the real sockets, and their runs do nothing.

What is measured with them is the server alone: no process is forked, no user code is called.
"""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from stoker.domain.hosts import HostOrder
from stoker.domain.ids import new_id
from stoker.domain.jobs import Job
from stoker.domain.reports import Finished, Frame, HandedOver, Report, Started
from stoker.domain.states import StateRecord, StateType
from stoker.process_identity import identify, this_machine
from stoker.wire import host as wire
from stoker.wire import worker as worker_wire

BEAT = 2.0
"""Seconds between two heartbeats."""
LIMIT = 64 * 2**20
"""Bytes of a message at the most."""

_to_host = msgspec.msgpack.Decoder(wire.ToHost).decode
_to_worker = msgspec.msgpack.Decoder(worker_wire.ToWorker).decode


class Fleet:
    """A worker of one pool that launches hosts by opening a socket for each.

    A host takes what it is assigned, reports that it has handed it over and started it, then, in
    a message of its own, that it has completed.

    Args:
        url: The server's address.
        pool: The pool.
        busy: Seconds between the start and the end of a run.

    Attributes:
        finished: Runs whose end the server has acknowledged.
    """

    def __init__(self, url: str, pool: str, busy: float = 0.0) -> None:
        self._busy = busy
        self._socket = url.replace("http", "ws", 1)
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()
        self._hosts: set[str] = set()
        self._up: Future[None] = Future()
        self._expected = 0
        self._done = threading.Event()
        self.finished = 0

    def expect(self, runs: int) -> None:
        """From now on, so many runs are awaited by `wait`."""
        self._done.clear()
        self.finished, self._expected = 0, runs

    def wait(self, seconds: float) -> None:
        """Return once the expected runs have ended and the server has said so."""
        if not self._done.wait(seconds):
            raise TimeoutError(f"{self.finished} of {self._expected} runs have ended")

    def wait_up(self, seconds: float) -> None:
        """Return once a host can be given runs."""
        self._up.result(seconds)

    async def run(self) -> None:
        """Be a worker until cancelled."""
        uri = f"{self._socket}/api/workers/connect"
        async with connect(uri, max_size=LIMIT, compression=None) as socket:
            process = identify(os.getpid())
            hello = worker_wire.WorkerHello(
                worker_id=new_id(time.time()),
                name="simulated",
                pool=self._pool,
                queues=[],
                limit=None,
                machine=this_machine(),
                process=process,
            )
            await socket.send(worker_wire.encode(hello))
            self._spawn(self._beat(socket, worker_wire.encode(worker_wire.WorkerHeartbeat())))
            try:
                async for data in socket:
                    message = _to_worker(bytes_of(data))
                    if isinstance(message, worker_wire.Orders):
                        for order in message.hosts:
                            await self._launch(socket, order)
                    elif isinstance(message, worker_wire.WorkerRefused):
                        raise RuntimeError(message.reason)
            finally:
                for task in self._tasks:
                    task.cancel()

    def _spawn(self, work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _beat(self, socket: ClientConnection, message: bytes) -> None:
        while True:
            await asyncio.sleep(BEAT)
            await socket.send(message)

    async def _launch(self, socket: ClientConnection, order: HostOrder) -> None:
        if order.host_id in self._hosts:
            return
        self._hosts.add(order.host_id)
        token = order.host_id
        launched = worker_wire.HostLaunched(
            host_id=order.host_id,
            process=identify(os.getpid()),
            token_hash=hashlib.sha256(token.encode()).hexdigest(),
        )
        await socket.send(worker_wire.encode(launched))
        self._spawn(self._host(order, token))

    async def _host(self, order: HostOrder, token: str) -> None:
        uri = f"{self._socket}/api/hosts/connect"
        while True:
            async with connect(uri, max_size=LIMIT, compression=None) as socket:
                hello = wire.HostHello(
                    host_id=order.host_id,
                    token=token,
                    process=identify(os.getpid()),
                    slots=order.slots,
                )
                await socket.send(wire.encode(hello))
                if await self._serve(socket):
                    return
            await asyncio.sleep(0.05)

    async def _serve(self, socket: ClientConnection) -> bool:
        """Hold the host's conversation; False where the server did not know it yet."""
        batch = 0
        ends: dict[int, int] = {}
        async for data in socket:
            match _to_host(bytes_of(data)):
                case wire.HostWelcome():
                    await socket.send(wire.encode(wire.Holding(runs=[])))
                    beat = wire.encode(wire.HostHeartbeat(at=time.time()))
                    self._spawn(self._beat(socket, beat))
                    if not self._up.done():
                        self._up.set_result(None)
                case wire.HostRefused(final=final):
                    return final
                case wire.Assign(jobs=jobs):
                    acknowledged = [(job.run_id, job.attempt) for job in jobs]
                    await socket.send(wire.encode(wire.AssignAck(runs=acknowledged)))
                    batch += 1
                    begun = wire.Frames(batch=batch, frames=_begin(jobs))
                    await socket.send(wire.encode(begun))
                    batch += 1
                    ends[batch] = len(jobs)
                    ended = self._finish(socket, batch, jobs)
                    if self._busy:
                        self._spawn(ended)
                    else:
                        await ended
                case wire.FramesAck(batch=number):
                    self._count(ends.pop(number, 0))
                case _:
                    pass
        return True

    async def _finish(self, socket: ClientConnection, batch: int, jobs: list[Job]) -> None:
        await asyncio.sleep(self._busy)
        await socket.send(wire.encode(wire.Frames(batch=batch, frames=_end(jobs))))

    def _count(self, runs: int) -> None:
        self.finished += runs
        if runs and self.finished >= self._expected:
            self._done.set()


def _begin(jobs: list[Job]) -> list[Frame]:
    now = time.time()
    return [
        _frame(job, 1, HandedOver(received=now, handed_over=now, assigned=job.assigned))
        for job in jobs
    ] + [_frame(job, 2, Started(now)) for job in jobs]


def _end(jobs: list[Job]) -> list[Frame]:
    state = StateRecord(StateType.COMPLETED, "Completed", time.time())
    return [_frame(job, 3, Finished(state)) for job in jobs]


def _frame(job: Job, seq: int, report: Report) -> Frame:
    return Frame(job.run_id, job.attempt, seq, [report])


@contextmanager
def fleet(url: str, pool: str, busy: float = 0.0) -> Generator[Fleet]:
    """Run a simulated worker in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fleet", daemon=True)
    thread.start()
    made = Fleet(url, pool, busy)
    running = asyncio.run_coroutine_threadsafe(made.run(), loop)
    try:
        yield made
    finally:
        running.cancel()
        asyncio.run_coroutine_threadsafe(_settle(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def bytes_of(data: str | bytes) -> bytes:
    """A message's bytes: all of ours are binary."""
    return data if isinstance(data, bytes) else data.encode()


async def _settle() -> None:
    me = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not me]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
