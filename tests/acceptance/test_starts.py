"""How a run started, and why one does not start yet."""

import json
from pathlib import Path
from typing import Any

from stoker.domain.anatomy import StartClass
from stoker.domain.pools import WarmKnobs
from stoker.testing import Gate, Harness
from stoker.wire.http import PoolUpdate

PROJECT = Path(__file__).parent / "project"


def inspected(stoker: Harness, run_id: str) -> dict[str, Any]:
    """What ``stoker flow-run inspect --json`` shows."""
    return json.loads(stoker.cli("flow-run", "inspect", run_id, "--json").stdout)


def test_cold_warm_and_hot(either: Harness, tmp_path: Path) -> None:
    stoker = either
    stoker.create_pool("cold", warm=WarmKnobs(min=0, max=1, slots_per_host=2))
    worker = stoker.start_worker("cold")
    file = tmp_path / "flows.py"
    text = "from stoker import flow\n@flow\ndef nothing() -> None: ...\n"
    file.write_text(text)
    stoker.deploy(file, name="cold", pool="cold")
    runs = [stoker.run("nothing/cold")]
    file.write_text(text + "# An edit: it has to be imported again.\n")
    runs += [stoker.run("nothing/cold") for _ in range(2)]
    shown = [inspected(stoker, run.id)["anatomy"] for run in runs]
    assert [one["start_class"] for one in shown] == ["cold", "warm", "hot"]
    always = ("submitted", "claimed", "assigned", "received", "handed_over", "first_line")
    launched = ("launch_requested", "launched", "registered")
    stamps = {
        "cold": [*always[:1], *launched, *always[1:4], "imported", *always[4:]],
        "warm": [*always[:4], "imported", *always[4:]],
        "hot": list(always),
    }
    for one in shown:
        names = stamps[one["start_class"]]
        assert set(one) - {"start_class", "import_seconds"} == set(names)
        times = [one[name] for name in names]
        assert times == sorted(times), one
    assert worker.stop() == 0


def test_a_run_says_why_it_waits(either: Harness, gate: Gate) -> None:
    stoker = either
    stoker.create_pool("waits", limit=1, warm=WarmKnobs(min=0, max=1, slots_per_host=2))
    stoker.deploy(PROJECT / "nesting.py", "meet", name="waits", pool="waits", project=PROJECT)
    first = stoker.start("meet/waits", {"gate": gate.path})
    waits = inspected(stoker, first.id)["waiting_for"]
    assert "no worker serves work pool waits" in waits
    assert "stoker worker start -p waits" in waits

    stoker.api.update_pool("waits", PoolUpdate(paused=True))
    waits = inspected(stoker, first.id)["waiting_for"]
    assert "paused" in waits
    assert "stoker work-pool resume waits" in waits
    stoker.api.update_pool("waits", PoolUpdate(paused=False))

    worker = stoker.start_worker("waits")
    gate.wait()
    assert inspected(stoker, first.id)["waiting_for"] is None
    second = stoker.start("meet/waits", {"gate": gate.path})
    assert "waits runs 1 of 1 at a time" in inspected(stoker, second.id)["waiting_for"]
    gate.open()
    stoker.wait(first)
    run = stoker.wait(second)
    assert run.waiting_for is None
    assert run.anatomy.start_class is StartClass.HOT
    assert worker.stop() == 0


def test_a_run_that_waits_for_a_launch_says_so(stoker: Harness, tmp_path: Path) -> None:
    """The import takes its time: the test opens the gate that the module waits at."""
    with Gate() as gate:
        (tmp_path / "slow.py").write_text(
            "import os\n"
            "from stoker import flow\n"
            "from stoker.testing import arrive\n"
            "if 'STOKER_HOST_ID' in os.environ:\n"
            f"    arrive({gate.path!r})\n"
            "@flow\n"
            "def slow() -> int:\n"
            "    return 1\n"
        )
        stoker.deploy(tmp_path / "slow.py", name="slow")
        run = stoker.start("slow/slow")
        gate.wait()
        assert "importing its code" in inspected(stoker, run.id)["waiting_for"]
        gate.open()
        ended = stoker.wait(run)
        assert ended.state.name == "Completed", (ended.state, stoker.api.pools())
