"""What tells an installation of Stoker, or of packages, from a later one."""

import sys
from pathlib import Path

import pytest

from stoker.host.agent.installation import Installation
from stoker.host.code import installed, loader


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "stoker"
    (folder / "host").mkdir(parents=True)
    (folder / "__init__.py").write_text("version = 1\n")
    (folder / "host" / "agent.py").write_text("")
    return folder


def test_an_installation_is_the_same_until_a_file_changes(package: Path) -> None:
    known = Installation(package)
    (package / "__pycache__").mkdir()
    (package / "new.py").touch()
    assert not known.is_replaced()
    (package / "host" / "agent.py").write_text("upgraded")
    assert known.is_replaced()


def test_an_installation_that_is_gone_was_replaced(package: Path) -> None:
    known = Installation(package)
    (package / "__init__.py").unlink()
    assert known.is_replaced()


def test_another_interpreter_is_another_installation(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    known = Installation(package)
    assert not known.is_replaced()
    python.unlink()
    python.symlink_to("/bin/sh")
    assert known.is_replaced()


def test_packages_their_paths_and_the_interpreter_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "some.pth").write_text("/one\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(packages), str(tmp_path / "nothing")])
    monkeypatch.setattr(loader, "read", {})
    installed.note_environment()
    noted = dict(loader.read)
    assert {str(packages), str(packages / "some.pth"), sys.executable} <= noted.keys()
    assert str(tmp_path) not in noted

    def changed() -> set[str]:
        return {path for path, stamp in noted.items() if loader.stamp(path) != stamp}

    assert changed() == set()
    (packages / "some.pth").write_text("/another\n")
    assert changed() == {str(packages / "some.pth")}
    (packages / "more-1.0.dist-info").mkdir()
    assert changed() == {str(packages / "some.pth"), str(packages)}
