"""Every benchmark works: in a tiny size it prints one JSON object of the agreed shape."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"

METRICS = {
    "claim_at_depth": {"claim", "claim_shallow", "claim_ratio", "unrelated_start"},
    "engine_throughput": {"engine"},
    "burst": {"burst", "burst_one_by_one", "burst_spawned", "burst_own_hosts"},
    "enqueue": {"accept_single", "accept_batch"},
    "footprint": {"import", "cli", "import_rss", "server_pss", "host_pss"},
    "in_process_flow": {
        "in_process_flow",
        "in_process_subflow",
        "in_process_flow_embedded",
        "in_process_subflow_embedded",
    },
    "limits": {"slot_round_trip"},
    "schedule_latency": {"schedule_start"},
    "soak": {
        "soak_hot_start_before",
        "soak_hot_start_after",
        "soak_runs",
        "soak_rate",
        *(
            f"soak_{part}_{name}_{when}"
            for part in ("server", "agent", "zygote")
            for name in ("pss", "files")
            for when in ("before", "after")
        ),
    },
    "start_latency": {"hot_start", "hot_start_spawned", "hot_start_own_host"},
    "task_overhead": {"task_direct", "task_submit", "task_map"},
}
WITH_ROUNDS = {"burst", "engine_throughput", "enqueue", "in_process_flow", "task_overhead"}
FLOORS = {"burst": {"burst", "burst_one_by_one"}, "start_latency": {"hot_start"}}
SIZES = {"soak": "10", "claim_at_depth": "30000"}
"""What ``--n`` is where 3 would be too little."""
ON_SQLITE = {"claim_at_depth", "engine_throughput", "start_latency"}
"""What measures both databases where it is not told which."""


def run(name: str, *options: str, tmp: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *options],
        env=os.environ | ({"TMPDIR": str(tmp)} if tmp else {}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_all_are_known() -> None:
    assert {file.stem for file in FOLDER.glob("[a-z]*.py")} == set(METRICS)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_json(name: str) -> None:
    rounds = ["--rounds", "2"] if name in WITH_ROUNDS else []
    databases = ["--db", "sqlite"] if name in ON_SQLITE else []
    done = run(name, "--json", "--n", SIZES.get(name, "3"), *rounds, *databases)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert list(report) == ["name", "machine", "results"]
    assert report["name"] == name
    assert {"cpu", "cores", "memory_mb", "system", "python"} == set(report["machine"])
    for row in report["results"]:
        check_row(row)
    rows = [(row["system"], row["metric"]) for row in report["results"]]
    wanted = [("stoker", metric) for metric in METRICS[name]]
    wanted += [("floor", metric) for metric in FLOORS.get(name, ())]
    assert sorted(rows) == sorted(wanted)


def check_row(row: dict[str, Any]) -> None:
    """One of the two shapes, with figures that can be true."""
    head = ["system", "metric", "unit"]
    if "value" in row:
        assert list(row) == [*head, "value"]
        assert row["value"] > 0
        return
    assert list(row) == [*head, "n", "p50", "p95", "p99", "min", "max"]
    assert row["n"] > 0
    assert 0 < row["min"] <= row["p50"] <= row["p95"] <= row["p99"] <= row["max"]


def test_table() -> None:
    done = run("start_latency", "--n", "2", "--db", "sqlite")
    assert done.returncode == 0, done.stderr
    assert "hot_start" in done.stdout
    assert "floor" in done.stdout


def test_an_impossible_size_is_refused() -> None:
    done = run("start_latency", "--n", "0")
    assert done.returncode == 2
    assert "--n" in done.stderr


def test_it_gives_up_in_time_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    done = run("start_latency", "--n", "1000000", "--limit", "5", "--db", "sqlite", tmp=folder)
    assert done.returncode == 1
    # Nothing else, so the harness had no process left to complain of.
    assert done.stderr.endswith("start_latency.py: not done after 5 s; see --limit\n")
    assert done.stderr.count("\n") == 1
    assert list(folder.iterdir()) == []
