"""Edited code is never run stale."""

import asyncio
import os
from pathlib import Path

import pytest

from stoker.domain.deployments import Code
from stoker.testing.fake_api import FakeApi
from stoker.testing.host_process import HostProcess
from stoker.wire import host as wire

pytestmark = pytest.mark.anyio


async def test_edit_and_trigger(api: FakeApi, host: HostProcess, tmp_path: Path) -> None:
    """All edits are of the same size, most within the same second."""
    project = tmp_path / "edited"
    (project / "parts").mkdir(parents=True)
    flow, part = project / "flow.py", project / "parts" / "number.py"
    flow.write_text("from parts import number\n\ndef f():\n    return number.N, 0\n")
    part.write_text("N = 100\n")
    code = Code(path=str(project), file="flow.py")
    assert await host.value(code, "f") == [100, 0]
    for n in range(101, 121):
        part.write_text(f"N = {n}\n")
        assert await host.value(code, "f") == [n, 0]


async def test_an_editor_that_replaces_the_file(
    host: HostProcess, project: Path, tmp_path: Path
) -> None:
    code = Code(path=str(project), file="flow.py")
    flow = project / "flow.py"
    for n in range(5):
        new = project / "new"
        new.write_text(f"def f():\n    return {n}\n")
        os.utime(new, ns=(10**18, 10**18))
        new.rename(flow)
        assert await host.value(code, "f") == n


async def test_a_change_that_hides_its_time(host: HostProcess, project: Path) -> None:
    code = Code(path=str(project), file="flow.py")
    flow = project / "flow.py"
    for n in range(5):
        flow.write_text(f"def f():\n    return {n}\n")
        os.utime(flow, ns=(10**18, 10**18))
        assert await host.value(code, "f") == n


async def test_runs_of_the_old_code_go_on(
    api: FakeApi, host: HostProcess, project: Path, code: Code, tmp_path: Path
) -> None:
    flag = tmp_path / "x"
    old = await host.assign(code, "wait", parameters={"path": str(flag)})
    await api.wait(lambda: api.lines_of(old))
    text = (project / "flows.py").read_text()
    (project / "flows.py").write_text(text.replace("hello {name}", "howdy {name}"))
    assert await host.value(code, "hello") == "howdy you"
    flag.touch()
    assert (await api.finished(old)).state.name == "Completed"


async def test_a_file_caught_half_written(api: FakeApi, host: HostProcess, project: Path) -> None:
    """The import that reads it fails, and counts for nothing once the file has changed."""
    flow, gate = project / "flow.py", project / "gate"
    os.mkfifo(gate)
    flow.write_text(f"open({str(gate)!r}).read()\nraise SystemExit('half of it')\n")
    code = Code(path=str(project), file="flow.py")
    run_id = await host.assign(code, "f")
    await api.wait(lambda: api.of_kind(wire.AssignAck))

    def finish_the_edit() -> None:
        with gate.open("w"):  # opens once the import has come to it
            flow.write_text("def f():\n    return 'whole'\n")

    await asyncio.to_thread(finish_the_edit)
    finished = await api.finished(run_id)
    assert finished.result is not None, finished.state
    assert finished.result.data == b'"whole"'


async def test_names_of_modules(host: HostProcess, project: Path) -> None:
    (project / "a-b").mkdir()
    (project / "deep" / "er").mkdir(parents=True)
    body = "def f():\n    return __name__\n"
    names = {
        "deep/er/flow.py": "deep.er.flow",
        "json.py": "flow_file_json",
        "a-b/c.py": "flow_file_a_b_c",
        "my flow.py": "flow_file_my_flow",
    }
    for file, name in names.items():
        (project / file).write_text(body)
        assert await host.value(Code(path=str(project), file=file), "f") == name


async def test_neighbours_can_be_imported(host: HostProcess, project: Path) -> None:
    folder = project / "some-flows"
    folder.mkdir()
    (folder / "near.py").write_text("N = 1\n")
    (project / "top.py").write_text("N = 2\n")
    (folder / "flow.py").write_text(
        "import near, top\n\ndef f():\n    import later\n    return near.N, top.N, later.N\n"
    )
    (folder / "later.py").write_text("N = 3\n")
    assert await host.value(Code(path=str(project), file="some-flows/flow.py"), "f") == [1, 2, 3]
