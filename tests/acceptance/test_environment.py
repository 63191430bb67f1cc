"""A run is like a fresh process with its environment, whoever sets it, and whatever it holds."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stoker.domain.anatomy import StartClass
from stoker.domain.environment import over
from stoker.domain.pools import WarmKnobs
from stoker.testing import Harness, harness, result_of

PROJECT = Path(__file__).parent / "environment"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Case = Mapping[str, str | None]

AT_START: dict[str, Case] = {
    "locale-C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "locale-posix": {"LANG": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "locale-UTF-8": {"LANG": "C.UTF-8"},
    "locale-coerced": {"LC_CTYPE": None, "PYTHONUTF8": "0"},
    "python-path": {"PYTHONPATH": "{folder}/own"},
    "python-path-unset": {"PYTHONPATH": None},
    "python-flags": {"PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "1"},
    "libraries": {"LD_LIBRARY_PATH": "{folder}/lib"},
    "allocator": {"MALLOC_PERTURB_": "165"},
}
AT_HAND_OVER: dict[str, Case] = {
    "time-zone": {"TZ": "STK-5:30"},
    "time-zone-unset": {"TZ": None},
    "home": {"HOME": "{folder}/own"},
    "home-unset": {"HOME": None},
    "path": {"PATH": "{folder}/bin"},
    "own": {"OWN": "a = ü\n"},
    "own-unset": {"OF_HOST": None},
}
CASES = {**AT_START, **AT_HAND_OVER}
NAMES = sorted({name for case in CASES.values() for name in case})


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """What the variables point at: programs, libraries, modules."""
    with tempfile.TemporaryDirectory(prefix="stoker-env-") as made:
        root = Path(made)
        for name in ("own", "host"):
            (root / name).mkdir()
            (root / name / "beside.py").write_text(f"NAME = {name!r}\n")
        (root / "bin").mkdir()
        (root / "bin/tool").write_text("#!/bin/sh\necho tool\n")
        (root / "bin/tool").chmod(0o755)
        (root / "lib").mkdir()
        shutil.copy(_c_library(), root / "lib/libstokertest.so")
        yield root


def _c_library() -> str:
    """Any library that can be loaded under another name."""
    import _ctypes

    return _ctypes.__file__


@pytest.fixture(scope="module")
def warm(folder: Path) -> Iterator[Harness]:
    """A host with variables of its own that deployments and runs change."""
    environ = {
        "PYTHONPATH": f"{folder}/host",
        "TZ": "HST+3",
        "OF_HOST": "here",
        "LOOK_AT": json.dumps(NAMES),
    }
    knobs = WarmKnobs(min=1, max=1, slots_per_host=1)
    with pytest.MonkeyPatch.context() as patch:
        # No locale: each Python process on the way to a run sets LC_CTYPE for itself (PEP 538).
        for name in os.environ:
            if name == "LANG" or name.startswith("LC_"):
                patch.delenv(name)
        with harness(warm=knobs, environ=environ) as stoker:
            stoker.deploy(PROJECT / "looks.py", name="bare", project=PROJECT)
            stoker.deploy(PROJECT / "threads.py", name="bare", project=PROJECT)
            yield stoker


@pytest.fixture(scope="module")
def bare(warm: Harness) -> Any:
    """What a process finds that is started with the host's environment alone."""
    return fresh(warm, {}, "looks.py")


def filled(case: Case, folder: Path) -> dict[str, str | None]:
    return {name: value and value.format(folder=folder) for name, value in case.items()}


def fresh(stoker: Harness, env: Mapping[str, str | None], script: str) -> Any:
    """What a process finds that is started with the host's environment and ``env`` over it."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / script)],
        env=over(stoker.environ, env),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CASES)
def test_a_run_is_like_a_fresh_process(warm: Harness, bare: Any, folder: Path, name: str) -> None:
    env = filled(CASES[name], folder)
    expected = fresh(warm, env, "looks.py")
    variables = {"env": env}
    # The test means something where the variables make a difference.
    assert expected != bare

    warm.deploy(PROJECT / "looks.py", name=name, job_variables=variables, project=PROJECT)
    assert warm.value(f"looks/{name}") == expected

    run = warm.run("looks/bare", env=env)
    assert result_of(run) == expected
    assert run.anatomy.start_class is StartClass.HOT
    assert warm.value("looks/bare") == bare


@pytest.mark.parametrize("number", ["1", "2", None])
def test_linear_algebra_takes_as_many_threads(warm: Harness, number: str | None) -> None:
    env: dict[str, str | None] = dict.fromkeys(THREADS, number)
    expected = fresh(warm, env, "threads.py")
    runs = [warm.run("threads/bare", env=env) for _ in range(2)]
    assert [result_of(run) for run in runs] == [expected] * 2
    # It has a process that imported under this environment; once that is there it is hot.
    assert runs[0].anatomy.start_class is StartClass.WARM
    assert runs[1].anatomy.start_class is StartClass.HOT
    if number is not None:
        assert expected == min(int(number), os.cpu_count() or 1)


def test_a_run_s_null_goes_before_its_deployment_s_value(warm: Harness) -> None:
    variables = {"env": {"TZ": "STK-5:30", "PYTHONOPTIMIZE": "1", "OWN": "1"}}
    warm.deploy(PROJECT / "looks.py", name="set", job_variables=variables, project=PROJECT)
    unset: dict[str, str | None] = {"TZ": None, "PYTHONOPTIMIZE": None, "OWN": None}
    found = warm.value("looks/set", env=unset)
    assert found == fresh(warm, unset, "looks.py")
    assert {found["environ"][name] for name in unset} == {None}


def test_whose_process_it_is_cannot_be_hidden(warm: Harness) -> None:
    env = {"STOKER_HOST_ID": None, "LOOK_AT": '["STOKER_HOST_ID"]'}
    warm.deploy(PROJECT / "looks.py", name="hidden", job_variables={"env": env}, project=PROJECT)
    run = warm.run("looks/hidden")
    assert result_of(run)["environ"] == {"STOKER_HOST_ID": run.host_id}
