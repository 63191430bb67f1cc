"""Edited code is never run stale."""

import os
from pathlib import Path

from stoker.domain.anatomy import StartClass
from stoker.testing import Harness, result_of

FLOWS = """
import lines
from stoker import flow

@flow
def report() -> list[int]:
    return [{number:05}, lines.NUMBER]
"""


def overwrite(file: Path, text: str) -> None:
    """Write in place, as some editors do: the inode stays."""
    file.write_text(text)


def replace(file: Path, text: str) -> None:
    """Write beside it and rename, as others do: the inode changes."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def back_date(file: Path, text: str) -> None:
    """Write in place, and give it the time of change that it had."""
    before = file.stat()
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_run_that_follows_an_edit_at_once_runs_the_edited_code(
    stoker: Harness, tmp_path: Path
) -> None:
    """A hundred edits of the same size, many in the same second, of both project files."""
    flows, lines = tmp_path / "flows.py", tmp_path / "lines.py"
    numbers = [10_000, 20_000]
    flows.write_text(FLOWS.format(number=numbers[0]))
    lines.write_text(f"NUMBER = {numbers[1]:05}\n")
    stoker.deploy(flows, name="edited")
    assert stoker.value("report/edited") == numbers

    for edit in range(100):
        write = (overwrite, replace, back_date)[edit % 3]
        which = (edit // 3) % 2
        numbers[which] += 1
        if which:
            write(lines, f"NUMBER = {numbers[1]:05}\n")
        else:
            write(flows, FLOWS.format(number=numbers[0]))
        run = stoker.run("report/edited")
        assert result_of(run) == numbers, f"edit {edit} by {write.__name__}"
        assert run.attempt == 1
    again = stoker.run("report/edited")
    assert again.anatomy.start_class is StartClass.HOT


def test_runs_in_flight_keep_their_code_and_later_ones_get_the_new(
    stoker: Harness, tmp_path: Path
) -> None:
    """Edits while runs come: each runs code that is not older than its submission."""
    flows, lines = tmp_path / "flows.py", tmp_path / "lines.py"
    lines.write_text("NUMBER = 0\n")
    flows.write_text(FLOWS.format(number=10_000))
    stoker.deploy(flows, name="burst")
    asked: list[tuple[str, int]] = []
    for number in range(10_000, 10_010):
        replace(flows, FLOWS.format(number=number))
        asked += [(stoker.start("report/burst").id, number) for _ in range(8)]
    for run_id, number in asked:
        assert result_of(stoker.wait(run_id))[0] >= number


def test_code_that_is_broken_by_an_edit_fails_and_is_well_again_when_mended(
    stoker: Harness, tmp_path: Path
) -> None:
    flows, lines = tmp_path / "flows.py", tmp_path / "lines.py"
    lines.write_text("NUMBER = 1\n")
    flows.write_text(FLOWS.format(number=10_000))
    stoker.deploy(flows, name="broken")
    assert stoker.value("report/broken") == [10_000, 1]

    for text, what in (
        ("NUMBER = = 1\n", "SyntaxError"),
        ("\nimport no_such_module\n", "ModuleNotFoundError"),
    ):
        lines.write_text(text)
        run = stoker.run("report/broken")
        assert run.state.name == "Failed"
        assert what in run.state.message
        assert "lines.py, line" in run.state.message
        assert "\n" not in run.state.message

    lines.write_text("NUMBER = 2\n")
    assert stoker.value("report/broken") == [10_000, 2]
