"""Footprint: import time and memory of the SDK, the command line, an idle server, an idle host.

The host is its agent with one empty zygote and that one's waiting child. PSS shares the pages that
several processes have among them.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from support import memory
from support.report import Options, Row, benchmark
from support.stack import POOL, deploy, plain_environment, scratch, stack, warm_up

from stoker.domain.pools import WarmKnobs
from stoker.testing import Harness

IMPORT = """
import time
started = time.perf_counter()
from stoker import flow, task
print(time.perf_counter() - started)
with open("/proc/self/status") as file:
    print(next(line.split()[1] for line in file if line.startswith("VmRSS")))
"""

ONE_SLOT = WarmKnobs(min=1, max=1, slots_per_host=1)
IDLE = 2.0
"""Seconds without work before memory is measured."""


def measure(options: Options) -> Iterator[Row]:
    """Measure Stoker and the peers."""
    with scratch() as home:
        environment = plain_environment(home)
        imports = [fresh_import(environment, home) for _ in range(options.n + 1)][1:]
        starts = [command_line(environment, home) for _ in range(options.n + 1)][1:]
    yield Row("stoker", "import", "ms", [seconds * 1000 for seconds, _ in imports])
    yield Row("stoker", "cli", "ms", [seconds * 1000 for seconds in starts])
    yield Row("stoker", "import_rss", "MB", [kilobytes / 1000 for _, kilobytes in imports])
    with stack(ONE_SLOT) as running:
        warm_up(running, deploy(running, "empty.py", "nothing"), 3)
        time.sleep(IDLE)
        assert running.server is not None
        yield Row("stoker", "server_pss", "MB", value=memory.pss_mb([running.server.pid]))
        yield Row("stoker", "host_pss", "MB", value=memory.pss_mb(host_processes(running)))
    if "prefect" in options.peers:
        from support import prefect

        with prefect.server() as peer:
            yield from peer.footprint(IMPORT, options.peer_n)


def fresh_import(environment: dict[str, str], folder: Path) -> tuple[float, int]:
    """Import in a fresh interpreter: seconds, and resident kilobytes after it."""
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, cwd=folder, check=True, capture_output=True
    )
    seconds, kilobytes = answer.stdout.split()
    return float(seconds), int(kilobytes)


def command_line(environment: dict[str, str], folder: Path) -> float:
    """Run `stoker version`, and return the seconds that it takes as a process."""
    command = [str(Path(sys.executable).with_name("stoker")), "version"]
    started = time.monotonic()
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    return time.monotonic() - started


def host_processes(running: Harness) -> list[int]:
    """Return the pids of the one host's agent, zygote and child."""
    (host,) = running.api.pool(POOL).hosts
    if host.process is None:
        raise RuntimeError(f"host {host.id} has no process: {host.message}")
    pids = memory.family(host.process.pid)
    if len(pids) != 3:
        raise RuntimeError(f"the host has {len(pids)} processes, not agent, zygote and child")
    return pids


if __name__ == "__main__":
    benchmark(measure, __doc__, n=20, counts="imports, and starts of the command line")
