"""``stoker check`` says what a host would find."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FORKING = Path(__file__).parent / "forking"


def check(path: Path, *options: str, code: int = 0) -> str:
    """Run the command; needs no server."""
    done = subprocess.run(
        [sys.executable, "-m", "stoker", "check", str(path), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def write(project: Path, files: dict[str, str]) -> None:
    """Write a project."""
    (project / "pyproject.toml").touch()
    for name, text in files.items():
        file = project / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


HELLO = "from stoker import flow\n\n@flow\ndef hello() -> None: ...\n"


def test_a_folder_is_searched_for_flows(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "good.py": HELLO,
            "helper.py": "# stoker and flow are words of this comment",
            "team/second.py": HELLO + "\n@flow(name='other')\ndef named() -> None: ...\n",
            "imports_it.py": "from good import hello  # a flow of stoker's, defined elsewhere",
            ".hidden/third.py": HELLO,
        },
    )
    # Some editors lock a file by a link that leads nowhere.
    (tmp_path / ".#good.py").symlink_to("user@host.123")
    found: dict[str, Any] = json.loads(check(tmp_path, "--json"))
    flows = {name: report["flows"] for name, report in found.items()}
    assert flows == {
        str(tmp_path / "good.py"): [{"function": "hello", "name": "hello", "problem": ""}],
        str(tmp_path / "team/second.py"): [
            {"function": "hello", "name": "hello", "problem": ""},
            {"function": "named", "name": "other", "problem": ""},
        ],
    }
    assert all(report["faults"] == [] for report in found.values())


def test_the_module_to_blame_is_named() -> None:
    shown = check(FORKING / "with_thread.py", "--project", str(FORKING))
    assert "not safe to fork" in shown
    assert "    poller: it runs the thread 'poller'" in shown.splitlines()
    file = FORKING / "with_thread.py"
    command = f"stoker deploy {file}:with_thread -n NAME --project {FORKING}"
    assert f"  with_thread: can be deployed: {command}" in shown.splitlines()


def test_the_time_of_an_import_is_said_by_package(tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(0.2)\n"
    files = {"slow/__init__.py": slow, "slow/part.py": slow}
    write(tmp_path, files | {"flows.py": "import slow.part\n" + HELLO})
    found: dict[str, Any] = json.loads(check(tmp_path / "flows.py", "--json"))
    report = found[str(tmp_path / "flows.py")]
    name, seconds = report["packages"][0]
    assert name == "slow"
    assert 0.4 <= seconds <= report["seconds"]
    assert sum(own for _, own in report["packages"]) <= report["seconds"]


def test_what_cannot_be_imported_fails_the_check(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "broken.py": HELLO + "\nraise ValueError('no such table')\n",
            "ends.py": HELLO + "\nimport os\nos._exit(7)\n",
            "is_killed.py": HELLO + "\nimport os\nos.kill(os.getpid(), 11)\n",
            "good.py": HELLO,
        },
    )
    shown = check(tmp_path, code=1)
    assert "broken.py could not be imported: ValueError: no such table (broken.py, line 6)" in shown
    assert "its import ended the process, with exit code 7" in shown
    assert "its import ended the process, which was killed by SIGSEGV" in shown
    assert f"{tmp_path}/good.py: imported in" in shown


def test_what_a_file_prints_is_no_part_of_the_report(tmp_path: Path) -> None:
    write(tmp_path, {"flows.py": "print('hello, stdout')\n" + HELLO})
    assert list(json.loads(check(tmp_path, "--json"))) == [str(tmp_path / "flows.py")]
