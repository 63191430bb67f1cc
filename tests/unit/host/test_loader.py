"""The loader of project files."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stoker.host.code import loader


def test_a_stamp_tells_every_change(tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    assert loader.stamp(str(file)).mtime_ns == 0
    stamps = [loader.stamp(str(file))]
    for n in range(20):
        file.write_text(f"N = {n % 10}\n")
        loader.read_settled(str(file))
        stamps.append(loader.stamp(str(file)))
    assert len(set(stamps)) == len(stamps)


def test_a_file_is_read_in_one_state(tmp_path: Path) -> None:
    """While somebody rewrites it all the time, what was read is what the stamp says."""
    file = tmp_path / "f.py"
    file.write_text("0" * 50_000)
    over = threading.Event()

    def rewrite() -> None:
        n = 0
        while not over.is_set():
            n += 1
            file.write_text(str(n % 10) * 50_000)
            over.wait(0.12)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(5):
            data = loader.read_settled(str(file))
            assert len(data) == 50_000
            assert len(set(data)) == 1
    finally:
        over.set()
        writer.join()


def test_old_files_are_read_at_once(tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    file.write_text("N = 1\n")
    time.sleep(loader.SETTLED)
    started = time.monotonic()
    loader.read_settled(str(file))
    assert time.monotonic() - started < loader.SETTLED


SCRIPT = """
import sys
from stoker.host.code import loader
project, file = sys.argv[1:]
sys.path.insert(0, project)
loader.install(project)
module = loader.load(project, file)
print(module.__name__, module.N, *sorted(p.removeprefix(project + "/") for p in loader.read))
"""


def load(project: Path, file: str) -> list[str]:
    source = str(Path(loader.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(project), file],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_bytecode_is_never_trusted(tmp_path: Path) -> None:
    """Same second, same size: Python itself would take the cached bytecode for fresh."""
    (tmp_path / "part.py").write_text("N = 1\n")
    (tmp_path / "flow.py").write_text("from part import N\n")
    at = 1_700_000_000
    os.utime(tmp_path / "part.py", (at, at))
    subprocess.run(
        [sys.executable, "-c", "import flow"], check=True, cwd=tmp_path, env={"PATH": ""}
    )
    assert list(tmp_path.glob("__pycache__/part.*.pyc"))
    (tmp_path / "part.py").write_text("N = 2\n")
    os.utime(tmp_path / "part.py", (at, at))
    assert load(tmp_path, "flow.py") == ["flow", "2", "flow.py", "part.py"]


def test_libraries_are_not_recorded(tmp_path: Path) -> None:
    site = tmp_path / ".venv" / "lib" / "python3" / "site-packages"
    site.mkdir(parents=True)
    (site / "library.py").write_text("N = 3\n")
    (tmp_path / "flow.py").write_text(
        f"import sys, wave\nsys.path.append({str(site)!r})\nfrom library import N\n"
    )
    assert load(tmp_path, "flow.py") == ["flow", "3", "flow.py"]


def test_packages_and_their_parts_are(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("N = 4\n")
    (package / "flow.py").write_text("from .part import N\n")
    found = load(tmp_path, "package/flow.py")
    assert found[:2] == ["package.flow", "4"]
    assert found[2:] == ["package/__init__.py", "package/flow.py", "package/part.py"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        loader.load(str(tmp_path), "missing_flow.py")
    assert loader.read[str(tmp_path / "missing_flow.py")].mtime_ns == 0
