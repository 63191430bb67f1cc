"""Programs that are kept running, whatever happens to them and to the one that they need."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from stoker.supervision import programs
from stoker.supervision.programs import Program

UNTIL_ITS_INPUT_ENDS = [sys.executable, "-c", "import sys; sys.stdin.read()"]


@pytest.fixture(autouse=True)
def hurried(monkeypatch) -> None:
    monkeypatch.setattr(programs, "FIRST_PAUSE", 0.01)


@contextmanager
def started(*made: Program) -> Iterator[None]:
    try:
        yield
    finally:
        for program in made:
            program.signal(signal.SIGKILL)


def test_one_that_dies_together_with_the_one_that_it_needs_is_started_again():
    server = Program("server", UNTIL_ITS_INPUT_ENDS)
    worker = Program("worker", UNTIL_ITS_INPUT_ENDS, needs=server)
    said: list[str] = []

    async def main() -> None:
        with started(server, worker):
            await server.start()
            await worker.start()
            first = worker.process
            server.signal(signal.SIGKILL)
            await server.ended()
            assert server.process is not None
            assert server.process.stdin is not None
            with suppress(BrokenPipeError):
                async with asyncio.timeout(20):
                    await server.process.stdin.wait_closed()
            keeping = asyncio.create_task(worker.keep(said.append))
            worker.signal(signal.SIGKILL)
            async with asyncio.timeout(20):
                while worker.process is first and not keeping.done():
                    await asyncio.sleep(0.01)
            assert not keeping.done()
            keeping.cancel()
        await worker.ended()

    asyncio.run(main())
    assert said == ["The worker ended (SIGKILL) and is started again in 0.01 s."]


def test_one_that_cannot_be_started_now_is_tried_again():
    worker = Program("worker", [sys.executable, "-c", ""])
    said: list[str] = []

    async def main() -> None:
        await worker.start()
        worker.command = ["/nowhere/at/all"]
        keeping = asyncio.create_task(worker.keep(said.append))
        async with asyncio.timeout(20):
            while len(said) < 4 and not keeping.done():
                await asyncio.sleep(0.01)
        assert not keeping.done()
        keeping.cancel()

    asyncio.run(main())
    assert said[1].startswith("The worker cannot be started: ")
    assert said[2] == "The worker ended (exit code 0) and is started again in 0.02 s."
