"""``python -m stoker.testing.chaos``: break a whole Stoker, and say what did not hold."""

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from stoker.domain.errors import StokerError
from stoker.testing.chaos.broken import RULES
from stoker.testing.chaos.enclosure import INSIDE, enclose


def arguments_of(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stoker.testing.chaos",
        description="Break a whole Stoker in all ways while it works; exit with 1 where something "
        "does not hold that must.",
    )
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--faults", type=int, default=30, help="how many faults there are")
    parser.add_argument("--seed", type=int, help="decides what happens; a fresh one by default")
    parser.add_argument("--servers", type=int, help="2 on Postgres by default, 1 on SQLite")
    parser.add_argument("--pace", type=float, default=0.8, help="seconds between two, in the mean")
    parser.add_argument("--json", action="store_true", help="print JSON, and no words")
    parser.add_argument("--folder", type=Path, help="where all is written, and kept")
    parser.add_argument(
        "--break-rule",
        action="append",
        default=[],
        choices=list(RULES),
        help="a rule that servers break on purpose; may be given several times",
    )
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Run a session, and return the exit code."""
    given = arguments_of(words)
    if INSIDE not in os.environ:
        enclose(words)
    del os.environ[INSIDE]
    from stoker.testing.chaos.choosing import order_of
    from stoker.testing.chaos.session import Session, say

    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    folder = given.folder or Path(tempfile.mkdtemp(prefix="stoker-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    say(f"seed {seed}, folder {folder}")
    outcome = Session(order_of(given, folder, seed)).run()
    text = msgspec.json.encode(outcome)
    sys.stdout.write((text if given.json else msgspec.json.format(text)).decode() + "\n")
    if outcome.violations:
        say(f"{len(outcome.violations)} violations; see {folder}")
        # Its disk goes with its namespace.
        shutil.copytree(folder / "disk", folder / "kept", dirs_exist_ok=True)
        return 1
    if given.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except StokerError as error:
        sys.exit(f"chaos: {error}")
