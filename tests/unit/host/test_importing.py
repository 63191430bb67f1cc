"""What a zygote says of code that cannot be imported."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.host.code import loader
from stoker.host.code.importing import explain


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def explained(project: Path, file: str) -> str:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever the file raises
        loader.load(str(project), file)
    assert caught.tb is not None
    return explain(caught.value.with_traceback(caught.tb.tb_next))


@pytest.mark.parametrize("file", ["zygote_flows.py", "2-zygote-flows.py"])
def test_the_users_frames_are_shown_alone(project: Path, file: str) -> None:
    (project / file).write_text("import zygote_helper\n")
    (project / "zygote_helper.py").write_text("\n1 / 0\n")
    text = explained(project, file)
    assert text.startswith("Traceback")
    assert text.endswith("ZeroDivisionError: division by zero")
    assert [line.split('"')[1] for line in text.splitlines() if "File " in line] == [
        str(project / file),
        str(project / "zygote_helper.py"),
    ]


def test_what_is_said_in_one_line_is_not_said_again(project: Path) -> None:
    (project / "zygote_flows.py").write_text("def f(:\n")
    assert explained(project, "zygote_flows.py") == ""
    assert explained(project, "zygote_missing.py") == ""
