"""The agent of a host: ``python -m stoker.host.agent``, told its `HostConfig` on standard input.

It takes runs from the server, hands each to a waiting child, passes on what the children say, and
sees to it that every run has an end, and that no process is left.
"""

import asyncio
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from stoker import __version__
from stoker.domain.fencing import agents_turn, zygotes_turn
from stoker.domain.pools import HostTerms
from stoker.host import linux
from stoker.host.agent.host_log import HostLog
from stoker.host.agent.outbox import Outbox
from stoker.host.agent.roster import Roster
from stoker.host.agent.server_link import Refused, ServerLink
from stoker.host.agent.spool import Spool, spool_path
from stoker.host.agent.zygote_link import Nest
from stoker.host.child import own_user
from stoker.log_lines import formatter
from stoker.ports.launcher import HostConfig
from stoker.process_identity import identify, own_environment
from stoker.wire import host as wire
from stoker.wire.versions import OLDEST_VERSION

logger = logging.getLogger("stoker.host")

LAST_WORDS = 5.0
"""Seconds that the last frames get to become safe before the agent leaves."""
REAP_TIME = 2.0
"""Seconds that killed processes get to end."""


class Agent:
    """A host's agent.

    Args:
        config: What it was told.
        environ: Its environment.
        file_limit: Descriptors that its zygotes and runs may have open each.
        log: The host's log.
    """

    def __init__(
        self, config: HostConfig, environ: Mapping[str, str], file_limit: int, log: HostLog
    ) -> None:
        self._config = config
        self._tmp = Path(config.home) / "tmp" / config.host_id
        spool = Spool(spool_path(config.home, config.host_id))
        self._outbox = Outbox(spool, self._wake, config.spool_limit)
        hello = wire.HostHello(
            host_id=config.host_id,
            token=config.token,
            process=identify(),
            slots=config.slots,
            wire_oldest=OLDEST_VERSION,
            version=__version__,
        )
        self._link = ServerLink(config.api_url, hello, self._outbox, self)
        self._log = log
        log.open()
        environ = clean_environment(config, environ)
        nest = Nest(config.host_id, environ, str(self._tmp), file_limit, log.writer)
        self._roster = Roster(config, nest, self._outbox, self._link, self._leave)
        self._fence_after = config.fence_after
        self._alive = linux.boot_time()
        self._stopped = False
        self._welcomed = False
        self._left: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def _wake(self) -> None:
        self._link.wake()

    async def run(self) -> int:
        """Serve until it is time to leave; return the exit code."""
        self._tmp.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGINT, self._on_stop_signal)
        loops = (
            self._keep_connected(),
            self._watch_fence(),
            self._roster.wear.watch(),
            self._roster.placing.keep_reserve(),
        )
        tasks = [loop.create_task(one) for one in loops]
        for task in tasks:
            task.add_done_callback(self._on_task_end)
        code = await self._left
        self._roster.stop()
        self._roster.memory.close()
        await self._end_processes()
        await self._outbox.settle(LAST_WORDS)
        await self._link.confirm(LAST_WORDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # What the server never knew as this host may be what an earlier launch of it left over:
        # then these files are those of the other one, which lives.
        await self._outbox.close(remove=self._welcomed)
        if self._welcomed:
            shutil.rmtree(self._tmp, ignore_errors=True)
        self._log.close()
        return code

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            logger.error("the host failed", exc_info=error)
            self._leave(1)

    async def _keep_connected(self) -> None:
        try:
            await self._link.run()
        except* Refused as group:
            logger.error("the server refuses this host: %s", group.exceptions[0])
            self._leave(1)

    async def _watch_fence(self) -> None:
        """Leave before others take this host's runs for lost."""
        while True:
            term = agents_turn(self._fence_after)
            left = self._alive + term - linux.boot_time()
            if left <= 0:
                logger.error("no word of the server for %g s: ending", term)
                self._leave(1)
                return
            # The loop's clock stands still while the machine sleeps; look often enough.
            await asyncio.sleep(min(left, 5.0))

    async def _end_processes(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REAP_TIME
        while loop.time() < deadline:
            for zygote in self._roster.placing.zygotes.all():
                zygote.end()
            if not self._roster.placing.sweeper.sweep() and not self._roster.placing.zygotes.all():
                return
            await asyncio.sleep(0.005)

    def _leave(self, code: int = 0) -> None:
        if not self._left.done():
            self._left.set_result(code)

    def _on_stop_signal(self) -> None:
        if self._stopped:
            self._leave()
            return
        self._stopped = True
        loop = asyncio.get_running_loop()
        loop.call_later(self._config.grace, self._leave)
        self._roster.drain()

    # What the server says.

    def on_welcome(self, welcome: wire.HostWelcome) -> None:
        """See `server_link.Owner`."""
        self._welcomed = True
        self._go_by(welcome.terms)
        self.on_alive(linux.boot_time())
        self._roster.warm(welcome.warm)

    def _go_by(self, terms: HostTerms) -> None:
        self._fence_after = terms.fence_after
        self._roster.wear.go_by(terms)

    def introduction(self) -> list[wire.FromHost | bytes]:
        """See `server_link.Owner`."""
        return [wire.TermsTaken(fence_after=self._fence_after), *self._roster.introduction()]

    def on_alive(self, at: float) -> None:
        """See `server_link.Owner`."""
        self._alive = max(self._alive, at)
        self._roster.placing.fence(self._alive + zygotes_turn(self._fence_after))

    def on_unsuited(self, reason: str) -> None:
        """See `server_link.Owner`."""
        self._roster.finish(reason)

    def on_lost(self) -> None:
        """See `server_link.Owner`."""
        self._roster.leave_if_done()

    def on_message(self, message: wire.ToHost) -> None:
        """See `server_link.Owner`."""
        match message:
            case wire.Assign(jobs=jobs):
                self._roster.assign(jobs)
            case wire.Reply():
                self._roster.reply(message)
            case wire.CancelRun():
                self._roster.cancel(message)
            case wire.StopRun():
                self._roster.stop_run(message)
            case wire.Warm(codes=codes):
                self._roster.warm(codes)
            case wire.NewTerms(terms=terms):
                self._go_by(terms)
                self.on_alive(self._alive)
                self._link.send(wire.TermsTaken(fence_after=terms.fence_after))
            case wire.Drain():
                self._roster.dismiss()
            case _:
                logger.warning("an unexpected message: %s", type(message).__name__)


def clean_environment(config: HostConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of zygotes: the agent's, with no secret and no setting but the home.

    Whose process it is says STOKER_HOST_ID; see `stoker.process_marks`.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("STOKER_")}
    if os.geteuid() == 0:
        kept = own_user.names() | kept
    return kept | {"STOKER_HOME": config.home, "STOKER_HOST_ID": config.host_id}


def raise_file_limit() -> int:
    """Allow as many descriptors as the system does: every child takes three.

    Returns the former limit. Runs keep it: it may be low for the sake of what they use
    (``select`` takes no descriptor above 1023; some programs close all that there may be).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


async def serve(
    config: HostConfig, environ: Mapping[str, str], file_limit: int, log: HostLog
) -> int:
    """Run an agent in this process."""
    return await Agent(config, environ, file_limit, log).run()


def main() -> None:
    """Run the agent of the host that standard input describes."""
    log = HostLog()
    logging.basicConfig(level=logging.INFO, stream=log)
    log_format = os.environ.get("STOKER_LOG_FORMAT", "")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter(log_format, "%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger("websockets").setLevel(logging.WARNING)
    config = msgspec.json.decode(sys.stdin.buffer.readline(), type=HostConfig)
    # It can be looked up only as long as this process may be.
    environ = own_environment()
    linux.forbid_dumps()
    linux.become_subreaper()
    work: Coroutine[Any, Any, int] = serve(config, environ, raise_file_limit(), log)
    sys.exit(uvloop.run(work))


if __name__ == "__main__":
    main()
