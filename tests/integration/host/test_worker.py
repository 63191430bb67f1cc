"""A worker, its launcher and real hosts, on a server that gives orders."""

import asyncio
import hashlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from stoker.clock import SystemClock
from stoker.domain.deployments import Code
from stoker.domain.errors import Invalid, Unauthorized
from stoker.domain.hosts import ProcessIdentity
from stoker.host.agent.spool import spool_path
from stoker.launchers.process import ProcessLauncher
from stoker.ports.launcher import Launch, OnExit
from stoker.process_identity import identify, is_alive, this_machine
from stoker.testing.fake_api import FakeApi
from stoker.testing.spools import read_frames
from stoker.wire import host as host_wire
from stoker.wire import worker as wire
from stoker.worker.fleet import FIRST_PAUSE
from stoker.worker.service import LAST_WORDS, Worker, WorkerConfig

pytestmark = pytest.mark.anyio


T = TypeVar("T")


class Orderer:
    """The server of one worker: it keeps the hosts in ``wanted``, until they are lost."""

    def __init__(self) -> None:
        self.said: list[wire.FromWorker] = []
        self.wanted: dict[str, wire.HostOrder] = {}
        self.answer: wire.ToWorker = wire.WorkerWelcome(
            heartbeat=5.0, fence_after=600.0, pool_type="process"
        )
        self.port = 0
        self._changed = asyncio.Condition()
        self._connection: ServerConnection | None = None
        self._server: Server | None = None

    async def open(self, **options: Any) -> None:
        self._server = await serve(self._serve, "127.0.0.1", self.port, **options)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            async for data in connection:
                assert isinstance(data, bytes)
                message = msgspec.msgpack.decode(data, type=wire.FromWorker)
                match message:
                    case wire.WorkerHello():
                        await connection.send(wire.encode(self.answer))
                        self._connection = connection
                        await self.order()
                    case wire.HostLaunched():
                        order = self.wanted[message.host_id]
                        order.process = message.process
                        await self.order()
                    case wire.HostLost():
                        if self.wanted.pop(message.host_id, None) is not None:
                            await self.order()
                    case _:
                        pass
                async with self._changed:
                    self.said.append(message)
                    self._changed.notify_all()
        except ConnectionClosed:
            pass

    async def order(self, *hosts: wire.HostOrder) -> None:
        self.wanted |= {host.host_id: host for host in hosts}
        if self._connection is not None:
            orders = wire.Orders(hosts=list(self.wanted.values()))
            await self._connection.send(wire.encode(orders))

    async def cut(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def heard(self, kind: type[T], count: int = 1, seconds: float = 20.0) -> list[T]:
        def found() -> list[T]:
            return [message for message in self.said if isinstance(message, kind)]

        async with asyncio.timeout(seconds), self._changed:
            while len(found()) < count:
                await self._changed.wait()
        return found()


@pytest.fixture
async def orderer() -> AsyncIterator[Orderer]:
    server = Orderer()
    await server.open()
    yield server
    await server.close()


@pytest.fixture
def launched() -> list[ProcessIdentity]:
    return []


MakeWorker = Callable[..., Worker]


@pytest.fixture
async def make_worker(
    orderer: Orderer, api: FakeApi, tmp_path: Path, launched: list[ProcessIdentity]
) -> AsyncIterator[MakeWorker]:
    """Make workers whose hosts connect to another server than they do themselves."""

    class Launcher(ProcessLauncher):
        async def launch(self, launch: Launch) -> ProcessIdentity:
            config = msgspec.structs.replace(launch.config, api_url=api.url)
            process = await super().launch(msgspec.structs.replace(launch, config=config))
            launched.append(process)
            return process

    def make(
        launcher: Callable[[OnExit], ProcessLauncher] = Launcher, grace: float = 10.0
    ) -> Worker:
        config = WorkerConfig(
            api_url=f"http://127.0.0.1:{orderer.port}",
            home=tmp_path / "home",
            pool="p",
            grace=grace,
        )
        return Worker(config, {"process": launcher}, SystemClock())

    yield make
    for process in launched:
        if is_alive(process):
            os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
async def worker(make_worker: MakeWorker) -> AsyncIterator[Worker]:
    worker = make_worker()
    task = asyncio.get_running_loop().create_task(worker.run())
    yield worker
    await worker.stop()
    async with asyncio.timeout(20):
        await task


def order(host_id: str = "h1") -> wire.HostOrder:
    return wire.HostOrder(host_id=host_id, process=None, slots=1)


async def test_an_ordered_host_is_launched_once(
    worker: Worker, orderer: Orderer, api: FakeApi, launched: list[ProcessIdentity]
) -> None:
    await orderer.order(order())
    (told,) = await orderer.heard(wire.HostLaunched)
    assert told.process == launched[0]
    await api.connected()
    (hello,) = api.of_kind(host_wire.HostHello)
    assert hashlib.sha256(hello.token.encode()).hexdigest() == told.token_hash
    assert (hello.host_id, hello.slots, hello.process) == ("h1", 1, told.process)
    orderer.wanted["h1"].process = None  # as if the message had been lost
    await orderer.cut()
    again = await orderer.heard(wire.HostLaunched, 2)
    assert again[0] == again[1]
    assert len(launched) == 1
    first, second = await orderer.heard(wire.WorkerHello, 2)
    assert (first.launched, second.launched) == ([], ["h1"])
    assert first.process == second.process == identify()


async def test_a_killed_host_is_lost(
    worker: Worker, orderer: Orderer, api: FakeApi, launched: list[ProcessIdentity]
) -> None:
    await orderer.order(order())
    await api.connected()
    os.kill(launched[0].pid, signal.SIGKILL)
    (lost,) = await orderer.heard(wire.HostLost, seconds=2)
    assert lost.host_id == "h1"
    assert "SIGKILL" in lost.reason


async def test_a_dead_host_that_is_not_ordered_any_more_is_cleared_up_after(
    make_worker: MakeWorker, orderer: Orderer, tmp_path: Path
) -> None:
    worker = make_worker()
    task = asyncio.get_running_loop().create_task(worker.run())
    await orderer.order(order())
    await orderer.heard(wire.HostLaunched)
    folder = tmp_path / "home" / "tmp" / "h1"
    folder.mkdir(parents=True, exist_ok=True)
    orderer.wanted.clear()
    await orderer.order()
    await orderer.heard(wire.HostLost)
    await worker.drain()
    async with asyncio.timeout(LAST_WORDS - 0.5):  # It need not wait for orders.
        await task
    assert not folder.exists()


async def test_a_host_that_was_given_up_is_ended(
    worker: Worker, orderer: Orderer, launched: list[ProcessIdentity]
) -> None:
    await orderer.order(order())
    await orderer.heard(wire.HostLaunched)
    os.kill(launched[0].pid, signal.SIGSTOP)
    orderer.wanted.clear()
    await orderer.order()
    (lost,) = await orderer.heard(wire.HostLost)
    assert (lost.host_id, lost.reason) == ("h1", "it was stopped at once")


async def test_a_host_that_its_own_worker_took_back_lives_on(
    worker: Worker, orderer: Orderer
) -> None:
    adopted = subprocess.Popen(["sleep", "60"])
    try:
        process = identify(adopted.pid)
        await orderer.order(wire.HostOrder(host_id="x", process=process, slots=1))
        await orderer.order(order())
        await orderer.heard(wire.HostLaunched)
        del orderer.wanted["x"]
        await orderer.order(order("h2"))
        await orderer.heard(wire.HostLaunched, 2)
        assert adopted.poll() is None
        async with asyncio.timeout(20):
            await worker.stop()
            await orderer.heard(wire.HostLost, 2)
        assert adopted.poll() is None
    finally:
        adopted.kill()
        adopted.wait()


async def test_a_host_that_does_not_leave_is_killed_when_the_drain_is_over(
    make_worker: MakeWorker,
    orderer: Orderer,
    api: FakeApi,
    launched: list[ProcessIdentity],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stoker.worker.service.LEAVE_TIME", 0.2)
    worker = make_worker(grace=0.1)
    task = asyncio.get_running_loop().create_task(worker.run())
    await orderer.order(order())
    await api.connected()
    os.kill(launched[0].pid, signal.SIGSTOP)
    await worker.drain()
    async with asyncio.timeout(10):
        await task
    assert not is_alive(launched[0])


async def test_what_a_dead_host_had_on_disk_arrives_before(
    worker: Worker,
    orderer: Orderer,
    api: FakeApi,
    launched: list[ProcessIdentity],
    tmp_path: Path,
) -> None:
    (tmp_path / "flow.py").write_text(
        "import os, time\nfrom stoker import flow\n\n@flow\ndef f(path: str):\n"
        "    print('waiting')\n    while not os.path.exists(path):\n        time.sleep(0.01)\n"
    )
    await orderer.order(order())
    await api.connected()
    code = Code(path=str(tmp_path), file="flow.py")
    job = host_wire.Job(
        run_id="r", attempt=1, code=code, function="f", parameters={"path": str(tmp_path / "x")}
    )
    await api.say(host_wire.Assign(jobs=[job]))
    await api.wait(lambda: api.lines_of("r"))
    await api.close()
    (tmp_path / "x").touch()
    spool = spool_path(tmp_path / "home", "h1")
    async with asyncio.timeout(10):
        while not any("finished" in str(f.reports).lower() for f in read_frames(spool)):
            await asyncio.sleep(0.01)
    os.kill(launched[0].pid, signal.SIGKILL)
    await orderer.heard(wire.HostLost)
    kinds = [type(message) for message in orderer.said if type(message) is not wire.WorkerHeartbeat]
    assert kinds[-2:] == [wire.SpooledFrames, wire.HostLost]
    (spooled,) = await orderer.heard(wire.SpooledFrames)
    assert {frame.run_id for frame in spooled.frames} == {"r"}


async def test_a_worker_adopts_what_another_left(
    make_worker: MakeWorker, orderer: Orderer, api: FakeApi, launched: list[ProcessIdentity]
) -> None:
    first = asyncio.get_running_loop().create_task(make_worker().run())
    await orderer.order(order())
    await orderer.heard(wire.HostLaunched)
    first.cancel()  # as good as dead: its hosts live on
    await asyncio.gather(first, return_exceptions=True)
    worker = make_worker()
    second = asyncio.get_running_loop().create_task(worker.run())
    await orderer.heard(wire.WorkerHello, 2)
    await api.connected()
    os.kill(launched[0].pid, signal.SIGKILL)
    os.waitpid(launched[0].pid, 0)
    (lost,) = await orderer.heard(wire.HostLost)
    assert lost.host_id == "h1"
    assert len(launched) == 1
    await worker.stop()
    await second


async def test_a_process_with_a_used_pid_is_not_taken_for_the_host(
    worker: Worker, orderer: Orderer
) -> None:
    other = ProcessIdentity(os.getpid(), 1, this_machine())
    await orderer.order(wire.HostOrder(host_id="old", process=other, slots=1))
    (lost,) = await orderer.heard(wire.HostLost)
    assert (lost.host_id, lost.reason) == ("old", "its process is gone")


async def test_a_host_is_not_dead_before_all_that_it_started_is_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = iter([[7], [7], [7], [7], [7], [7], []])
    monkeypatch.setattr("stoker.launchers.process.kill_marked", lambda host_id: next(looks))
    exits: asyncio.Queue[str] = asyncio.Queue()
    launcher = ProcessLauncher(lambda host_id, reason: exits.put_nowait(host_id))
    launcher.adopt("old", ProcessIdentity(os.getpid(), 1, this_machine()))
    async with asyncio.timeout(10):
        assert await exits.get() == "old"
    assert list(looks) == []
    assert "host old has ended, but not its processes [7]" in caplog.text
    await launcher.close()


async def test_a_process_of_another_container_is_not_judged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its pid is of no meaning here, though host name and boot are the same."""
    exits: asyncio.Queue[str] = asyncio.Queue()
    launcher = ProcessLauncher(lambda host_id, reason: exits.put_nowait(host_id))
    elsewhere = msgspec.structs.replace(this_machine(), pid_namespace="1")
    launcher.adopt("other", ProcessIdentity(1, 1, elsewhere))
    launcher.adopt("old", ProcessIdentity(os.getpid(), 1, this_machine()))
    async with asyncio.timeout(10):
        assert await exits.get() == "old"
    await launcher.close()
    assert exits.empty()
    assert "host other is on" in caplog.text


async def test_launches_that_fail_do_not_spin(make_worker: MakeWorker, orderer: Orderer) -> None:
    worker = make_worker(lambda on_exit: ProcessLauncher(on_exit, python="/bin/false"))
    task = asyncio.get_running_loop().create_task(worker.run())
    started = asyncio.get_running_loop().time()
    for number in range(3):
        await orderer.order(order(f"h{number}"))
        lost = await orderer.heard(wire.HostLost, number + 1)
    assert asyncio.get_running_loop().time() - started > FIRST_PAUSE * 3
    assert all("exit code 1" in message.reason for message in lost)
    await worker.stop()
    await task


async def test_a_host_that_cannot_be_started(make_worker: MakeWorker, orderer: Orderer) -> None:
    worker = make_worker(lambda on_exit: ProcessLauncher(on_exit, python="/nowhere/python"))
    task = asyncio.get_running_loop().create_task(worker.run())
    await orderer.order(order())
    (lost,) = await orderer.heard(wire.HostLost)
    assert "could not be launched" in lost.reason
    assert "/nowhere/python" in lost.reason
    await worker.stop()
    await task


async def test_drain(
    make_worker: MakeWorker, orderer: Orderer, api: FakeApi, launched: list[ProcessIdentity]
) -> None:
    worker = make_worker()
    task = asyncio.get_running_loop().create_task(worker.run())
    await orderer.order(order())
    await api.connected()
    await worker.drain()
    async with asyncio.timeout(10):
        await task
    assert not is_alive(launched[0])
    kinds = [type(message) for message in orderer.said]
    assert kinds.index(wire.WorkerDraining) < kinds.index(wire.HostLost)


@pytest.mark.parametrize(("queues", "named"), [([], "all"), (["a", "b"], "a, b")])
async def test_a_welcomed_worker_says_what_it_serves(
    orderer: Orderer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    queues: list[str],
    named: str,
) -> None:
    caplog.set_level("INFO", "stoker.worker")
    config = WorkerConfig(
        api_url=f"http://127.0.0.1:{orderer.port}",
        home=tmp_path,
        pool="p",
        queues=queues,
        name="bold-oak",
    )
    worker = Worker(config, {"process": ProcessLauncher}, SystemClock())
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        await orderer.heard(wire.WorkerHeartbeat)
        await worker.drain()
    assert f"worker bold-oak serves work pool p, queues: {named}" in caplog.messages


async def test_a_refused_worker_says_why(make_worker: MakeWorker, orderer: Orderer) -> None:
    orderer.answer = wire.WorkerRefused(reason="there is no work pool 'p'")
    with pytest.raises(Invalid, match="no work pool 'p'"):
        await make_worker().run()


async def test_a_pool_of_a_type_that_the_worker_does_not_know(
    make_worker: MakeWorker, orderer: Orderer
) -> None:
    orderer.answer = wire.WorkerWelcome(heartbeat=5.0, fence_after=600.0, pool_type="moon")
    with pytest.raises(Invalid, match="'moon'; it knows: process"):
        await make_worker().run()


async def test_a_wrong_key(make_worker: MakeWorker, orderer: Orderer) -> None:
    await orderer.close()
    await orderer.open(process_request=lambda connection, request: connection.respond(403, ""))
    with pytest.raises(Unauthorized, match="STOKER_API_KEY"):
        await make_worker().run()
