"""Old logs of hosts are removed."""

import os
from pathlib import Path

from stoker.worker.old_logs import KEPT, remove_old_logs


def test_the_newest_stay_and_those_of_living_hosts(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    spools = tmp_path / "spool"
    for folder in (logs, spools):
        folder.mkdir()
    for number in range(KEPT + 10):
        log = logs / f"host-{number}.log"
        log.touch()
        os.utime(log, (number, number))
    (spools / "3.frames").touch()
    (logs / "mine.log").touch()
    remove_old_logs(tmp_path)
    left = {log.name for log in logs.iterdir()}
    assert left == {f"host-{n}.log" for n in [3, *range(10, KEPT + 10)]} | {"mine.log"}


def test_there_may_be_none(tmp_path: Path) -> None:
    remove_old_logs(tmp_path)
