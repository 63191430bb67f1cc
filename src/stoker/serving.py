"""Serving: a script's deployments, a server where there is none, and a warm host, until Ctrl-C."""

import asyncio
import hashlib
import inspect
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

from stoker.client.http import Api
from stoker.domain.deployments import Deployment
from stoker.domain.errors import Conflict, Invalid
from stoker.domain.hosts import ZYGOTES, HostState
from stoker.domain.pools import WarmKnobs
from stoker.engine import backends
from stoker.engine.context import current_flow
from stoker.settings import Settings, load
from stoker.supervision.servers import RemoteServer, SharedServer
from stoker.supervision.supervisor import Supervisor
from stoker.wire.http import KnobChanges, PoolCreate, PoolUpdate

__all__ = ["aserve", "serve"]


def serve(
    *deployments: Deployment,
    limit: int | None = None,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
) -> None:
    """Serve deployments until Ctrl-C or SIGTERM: their runs start warm, in a process each.

    The server is the one of the settings' address, else the one that runs on the same home; else
    one is started. A worker and a host of this machine serve a work pool of this script's own,
    with the script's interpreter and environment. All that was started ends with the script; the
    first signal lets running flows end, the second one ends them at once.

    Args:
        deployments: What `Flow.to_deployment` returns.
        limit: Runs at a time; as many as suit the machine by default.
        pause_on_shutdown: Whether the schedules that are given here are paused when this ends, so
            that no runs gather that nobody executes; they go on when it serves again.
        print_starting_message: Whether to say how runs are started, once all is warm.

    Raises:
        RuntimeError: It is called in a flow, by the import of a deployed file, in a coroutine, or
            outside of the main thread.
        Invalid: A deployment's code cannot be imported.
        Conflict: Another script serves it, since this one has begun to.
        Unavailable: The server cannot be reached, or started.

    Example:
        ```python
        if __name__ == "__main__":
            serve(etl.to_deployment("nightly"), report.to_deployment("weekly"), limit=4)
        ```
    """
    _refuse_odd_places()
    if _in_a_loop():
        raise RuntimeError("serve() blocks the event loop that runs here; use `await aserve(...)`")
    asyncio.run(_serve(deployments, limit, pause_on_shutdown, print_starting_message))


async def aserve(
    *deployments: Deployment,
    limit: int | None = None,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
) -> None:
    """Do what `serve` does, in a coroutine.

    Example:
        ```python
        asyncio.run(aserve(etl.to_deployment("nightly")))
        ```
    """
    _refuse_odd_places()
    await _serve(deployments, limit, pause_on_shutdown, print_starting_message)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _serve(
    deployments: Sequence[Deployment], limit: int | None, pauses: bool, greets: bool
) -> None:
    _check(deployments, limit)
    # What the script has recorded itself is written; the server opens the store next.
    await asyncio.to_thread(backends.close)
    settings = load()
    level = "WARNING" if settings.log_level == "INFO" else settings.log_level
    env = {"STOKER_HOME": str(settings.home), "STOKER_LOG_LEVEL": level}
    if settings.api_url is None:
        server = SharedServer(settings, env)
    else:
        server = RemoteServer(settings.api_url)
    served = Served(deployments, settings, limit, pauses=pauses, greets=greets)
    await Supervisor(settings, server, served, partial(print, flush=True), env=env).run()


class Served:
    """What is served; see `stoker.supervision.supervisor.Task`.

    Args:
        deployments: The deployments.
        settings: The home.
        limit: Runs at a time.
        pauses: Whether schedules are paused at the end.
        greets: Whether to say how runs are started.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        settings: Settings,
        limit: int | None,
        *,
        pauses: bool,
        greets: bool,
    ) -> None:
        self.pool = pool_name(deployments)
        self._deployments = deployments
        self._home = settings.home
        self._slots = limit or max(8, 2 * (os.cpu_count() or 1))
        self._pauses = pauses
        self._greets = greets
        self._keys: dict[str, str] = {}

    def prepare(self, api: Api) -> None:
        """Make or change the pool, and deploy."""
        # More hosts on one machine would only import the same code again.
        warm = WarmKnobs(min=1, max=1, slots_per_host=self._slots)
        try:
            api.create_pool(PoolCreate(name=self.pool, warm=warm))
        except Conflict:
            # Its other knobs may be what its user wants by now.
            changes = KnobChanges(slots_per_host=self._slots)
            api.update_pool(self.pool, PoolUpdate(warm=changes))
        for deployment in self._deployments:
            deployment.pool = self.pool
            stored = api.put_deployment(deployment)
            if stored.code is not None:
                self._keys[stored.code.key] = stored.full_name

    def is_ready(self, api: Api) -> bool:
        """Whether a host is up and has imported the code of all.

        Raises:
            Invalid: It cannot be imported.
            Conflict: Another script serves it now.
        """
        self._check_ours(api)
        detail = api.pool(self.pool)
        up = {host.id for host in detail.hosts if host.state is HostState.UP}
        zygotes = [one for one in detail.zygotes if one.host_id in up and one.key in self._keys]
        for one in zygotes:
            if not one.ready:
                raise Invalid(f"{self._keys[one.key]} cannot be served: {one.message}")
        # A host keeps so many; the others are imported when they are wanted.
        return len({one.key for one in zygotes}) >= min(len(self._keys), ZYGOTES)

    def _check_ours(self, api: Api) -> None:
        for name in self._keys.values():
            pool = api.deployment(name).pool
            if pool != self.pool:
                raise Conflict(
                    f"{name} is served by another script now, on work pool {pool!r}; give one of "
                    "them another name"
                )

    def leave(self, api: Api) -> None:
        """Pause the schedules that were given, unless another script goes on to serve them."""
        scheduled = [one.full_name for one in self._deployments if one.schedules]
        if not self._pauses or not scheduled:
            return
        workers = [one for one in api.pool(self.pool).workers if not one.gone and not one.draining]
        if len(workers) > 1:
            return  # The same script runs a second time.
        for name in scheduled:
            if api.deployment(name).pool == self.pool:
                for one in api.schedules(name):
                    if one.schedule.active:
                        api.set_schedule_active(name, one.slug, active=False)

    def greeting(self, url: str) -> list[str]:
        """Say how runs are started."""
        if not self._greets:
            return []
        names = [deployment.full_name for deployment in self._deployments]
        return [
            "",
            f"Serving {', '.join(names)}.",
            f"  server     {url}",
            f"  work pool  {self.pool} (process, {self._slots} at a time)",
            f"  home       {self._home}",
            "",
            "In another terminal:",
            *(f"  stoker deployment run {name} --watch" for name in names[:3]),
            "Stop with Ctrl-C.",
            "",
        ]


def pool_name(deployments: Sequence[Deployment]) -> str:
    """Return the name of the work pool of a script: the same whenever it serves.

    Scripts have pools of their own, since the hosts of one cannot run the code of another that
    has another interpreter or environment.
    """
    first = deployments[0]
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    path = Path(script or Path(first.path, first.entrypoint.rpartition(":")[0])).resolve()
    place = f"{os.uname().nodename}\0{path}\0{sys.executable}"
    # No name may have these; see the server's rule for names.
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in path.stem)
    return f"serve-{stem[:100]}-{hashlib.sha256(place.encode()).hexdigest()[:6]}"


def _check(deployments: Sequence[Deployment], limit: int | None) -> None:
    if not deployments:
        raise ValueError("serve() needs a deployment: what flow.to_deployment(name) returns")
    for one in deployments:
        # Users need not heed types.
        if not isinstance(cast(object, one), Deployment):
            raise TypeError(f"serve() takes what flow.to_deployment(name) returns, not {one!r}")
    names = [one.full_name for one in deployments]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"serve() was given {', '.join(twice)} more than once")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be 1 run or more at a time, not {limit}")


def _refuse_odd_places() -> None:
    flow = current_flow()
    if flow is not None and flow.id:
        raise RuntimeError(
            f"serve() was called in the flow {flow.flow_name!r}, but runs until it is stopped; "
            "call it in a script"
        )
    if _is_imported():
        raise RuntimeError(
            "serve() was called by the import of a deployed file; put it under `if __name__ == "
            '"__main__":`, since every host imports the file'
        )


def _is_imported() -> bool:
    """Whether Stoker is importing a file of flows at the moment."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "stoker.host.code.loader":
            return True
        frame = frame.f_back
    return False
