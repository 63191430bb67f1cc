"""The frame of every benchmark: its options, its deadline, its rows, and how they are printed."""

import argparse
import json
import math
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

PEERS = ("prefect",)
PEER_N = 10
"""How often a peer does one thing at the most."""


@dataclass(frozen=True)
class Options:
    """What a benchmark is asked for.

    Attributes:
        n: How many samples, or how large; what it counts is the benchmark's own.
        rounds: How often to measure what has one figure for ``n`` of a thing.
        warmup: Samples before those that count.
        peers: Other systems to measure beside Stoker.
        databases: The databases to measure on.
    """

    n: int
    rounds: int
    warmup: int
    peers: Sequence[str]
    databases: Sequence[str] = ()

    @property
    def peer_n(self) -> int:
        """How many samples to take of a peer."""
        return min(self.n, PEER_N)


@dataclass(frozen=True)
class Row:
    """One system's result in one metric: samples, or where it is one figure a value."""

    system: str
    metric: str
    unit: str
    samples: Sequence[float] = ()
    value: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the row as it is printed."""
        head: dict[str, Any] = {"system": self.system, "metric": self.metric, "unit": self.unit}
        if self.value is not None:
            return head | {"value": _rounded(self.value)}
        ordered = sorted(self.samples)
        figures = {
            "p50": quantile(ordered, 0.50),
            "p95": quantile(ordered, 0.95),
            "p99": quantile(ordered, 0.99),
            "min": ordered[0],
            "max": ordered[-1],
        }
        return head | {"n": len(ordered)} | {name: _rounded(it) for name, it in figures.items()}


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile of sorted values: one that was really measured.

    Example:
        >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5)
        2.0
    """
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _rounded(value: float) -> float:
    """Four significant digits: no benchmark here is more exact than that."""
    if value == 0:
        return 0.0
    return round(value, max(0, 3 - math.floor(math.log10(abs(value)))))


def benchmark(
    measure: Callable[[Options], Iterable[Row]],
    doc: str | None,
    *,
    n: int,
    rounds: int = 1,
    warmup: int = 0,
    counts: str,
    limit: int = 600,
    databases: Sequence[str] = (),
) -> None:
    """Run a benchmark as a script.

    Args:
        measure: Does it.
        doc: The script's docstring.
        n: How many samples by default.
        rounds: How many rounds by default, where there are any.
        warmup: Samples before those that count.
        counts: What ``n`` counts, for the help.
        limit: Seconds after which it gives up.
        databases: The databases that it can be run on: on all of them by default.
    """
    text = (doc or "").strip()
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--n", type=int, default=n, help=f"{counts} (default: %(default)s)")
    if rounds > 1:
        parser.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        choices=PEERS,
        help=f"measure another system beside Stoker, with n <= {PEER_N}",
    )
    if databases:
        parser.add_argument("--db", choices=databases, help="default: each of them")
    parser.add_argument(
        "--limit", type=int, default=limit, help="seconds after which it gives up (%(default)s)"
    )
    given = parser.parse_args()
    many = getattr(given, "rounds", 1)
    if min(given.n, many) < 1:
        parser.error("--n and --rounds must be 1 or more")
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(given.limit)
    one = getattr(given, "db", None)
    options = Options(given.n, many, warmup, given.peer, [one] if one else databases)
    try:
        rows = [row.as_dict() for row in measure(options)]
    except _TimeIsUp:
        sys.exit(f"{sys.argv[0]}: not done after {given.limit} s; see --limit")
    signal.alarm(0)
    name = Path(sys.argv[0]).stem
    if given.json:
        print(json.dumps({"name": name, "machine": machine(), "results": rows}))
    else:
        _print_table(name, text.partition("\n")[0], rows)


class _TimeIsUp(BaseException):
    """No part of a benchmark may take this for an error of its own."""


def say(text: str) -> None:
    """Tell what is going on, beside the result."""
    print(text, file=sys.stderr, flush=True)


def _end(*_: object) -> NoReturn:
    sys.exit(f"{sys.argv[0]}: ended by SIGTERM")


def _give_up(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise _TimeIsUp


def machine() -> dict[str, Any]:
    """Describe what was measured on."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _print_table(name: str, subject: str, rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("system", "metric", "unit"):
        table.add_column(column)
    for column in ("n", "p50", "p95", "p99", "min", "max"):
        table.add_column(column, justify="right")
    for row in rows:
        cells = [row["system"], row["metric"], row["unit"], str(row.get("n", ""))]
        if "value" in row:
            cells += [_shown(row["value"]), "", "", "", ""]
        else:
            cells += [_shown(row[name]) for name in ("p50", "p95", "p99", "min", "max")]
        table.add_row(*cells)
    on = machine()
    # Piped into a file it has no terminal's width, and must not be cut.
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(f"[bold]{name}[/]  {subject}")
    console.print(
        f"{on['cores']} x {on['cpu']}, Python {on['python']}, {on['system']}", style="dim"
    )
    console.print(table)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"
