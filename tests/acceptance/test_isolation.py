"""Each run has a process of its own, forked before it came, and sees nothing of another run."""

import os
import threading
import time
from typing import Any

from stoker.domain.anatomy import StartClass
from stoker.testing import Harness, result_of

TICKS = os.sysconf("SC_CLK_TCK")


def boot_time() -> float:
    """When the machine was started, seconds since the epoch."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def is_removed(folder: str) -> bool:
    """Whether a run's folder goes away: that is after its process has, a moment after its end."""
    deadline = time.monotonic() + 20
    pause = threading.Event()
    while os.path.exists(folder):
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def test_each_run_has_a_process_that_was_forked_before_it_came(stoker: Harness) -> None:
    stoker.run("who/test")
    runs = [stoker.run("who/test") for _ in range(10)]
    found: list[dict[str, Any]] = [result_of(run) for run in runs]
    assert len({one["pid"] for one in found}) == len(found)
    hot = 0
    for run, one in zip(runs, found, strict=True):
        assert one["session"] == one["pid"]
        assert run.anatomy.start_class is StartClass.HOT
        # The kernel counts in ticks, of which one may be missing.
        started = boot_time() + (one["started"] - 1) / TICKS
        hot += run.anatomy.submitted is not None and started < run.anatomy.submitted
    assert hot == len(runs)
    assert len({one["parent"] for one in found}) == 1, "one zygote forked them all"


def test_nothing_of_a_run_is_seen_by_the_next(stoker: Harness) -> None:
    found: list[dict[str, Any]] = [stoker.value("leave-traces/test") for _ in range(12)]
    for one in found:
        assert one["environ"] is None
        assert one["module"] == []
        assert one["files"] == []
        assert one["tmp"] == one["TMPDIR"]
        assert one["umask"] == found[0]["umask"] != 0o077
        assert one["cwd"] == found[0]["cwd"] != "/"
        assert is_removed(one["tmp"])
    for name in ("random", "numpy", "tmp"):
        assert len({one[name] for one in found}) == len(found), name


def test_a_deployment_and_a_run_set_their_environment(stoker: Harness) -> None:
    project = stoker.api.deployment("environment/test")
    file = os.path.join(project.path, "basics.py")
    for colour in ("red", "blue"):
        stoker.deploy(
            file,
            "environment",
            name=colour,
            job_variables={"env": {"COLOUR": colour}},
            project=project.path,
        )
        stoker.run(f"environment/{colour}")
    for colour in ("red", "blue", "red"):
        run = stoker.run(f"environment/{colour}")
        assert result_of(run) == {"at_import": colour, "colour": colour, "size": "none"}
        assert run.anatomy.start_class is StartClass.HOT

    run = stoker.run("environment/red", env={"SIZE": "large", "COLOUR": "green"})
    assert result_of(run) == {"at_import": "red", "colour": "green", "size": "large"}
    assert run.anatomy.start_class is StartClass.HOT
    run = stoker.run("environment/red")
    assert result_of(run) == {"at_import": "red", "colour": "red", "size": "none"}
    hosts = {run.host_id for run in stoker.api.runs(flow="environment").runs}
    assert len(hosts) == 1, "deployments of different code and environment share a host"
