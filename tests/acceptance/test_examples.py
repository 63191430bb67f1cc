"""Every example runs as its first lines say."""

import json
from pathlib import Path

from stoker.domain.pools import WarmKnobs
from stoker.testing import Harness, harness

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_all_examples_are_tested() -> None:
    known = {"fan_out.py", "hello.py", "nested.py", "serve.py"}
    assert {file.name for file in EXAMPLES.glob("*.py")} == known


def test_hello(tmp_path: Path) -> None:
    with harness(tmp_path / "home", pool=None) as stoker:
        done = stoker.python(str(EXAMPLES / "hello.py"))
        assert "Hello, Marvin!" in done.stderr
        (run,) = stoker.api.runs().runs
        assert run.state.type == "COMPLETED"


def test_fan_out_and_nested(tmp_path: Path) -> None:
    # A single slot: nested runs end in it all the same.
    warm = WarmKnobs(min=1, max=1, slots_per_host=1)
    with harness(tmp_path / "home", limit=1, warm=warm) as stoker:
        done = stoker.python(str(EXAMPLES / "fan_out.py"))
        assert done.stdout == "19900\n"
        done = stoker.python(str(EXAMPLES / "nested.py"))
        pids = json.loads(done.stdout)
        assert len(set(pids)) == 4


def test_serve(tmp_path: Path) -> None:
    with Harness(tmp_path / "home", settings={"server_port": 0}) as stoker:
        program = stoker.script(str(EXAMPLES / "serve.py"))
        program.await_output("Stop with Ctrl-C.")
        done = stoker.cli("deployment", "run", "thumbnail/serve", "--watch")
        assert "cat.small.png" in done.stdout
        assert program.stop() == 0
