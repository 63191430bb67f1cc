"""The command line against a stand-in for the server."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stoker import settings
from stoker.cli.main import cli


@pytest.fixture(autouse=True)
def fresh_settings(tmp_path, monkeypatch) -> Iterator[None]:
    """Settings of this test alone: no project file of ours, nothing read before."""
    monkeypatch.chdir(tmp_path)
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


class Run:
    """What a command left."""

    def __init__(self, result: Result) -> None:
        self.code = result.exit_code
        self.out = result.stdout
        self.err = result.stderr
        self.crash = None if isinstance(result.exception, SystemExit) else result.exception

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def stoker() -> Callable[..., Run]:
    """Run ``stoker`` with arguments in this process."""

    def run(*arguments: str, code: int = 0) -> Run:
        done = Run(CliRunner().invoke(cli, list(arguments), prog_name="stoker"))
        assert done.crash is None, done.crash
        assert done.code == code, (done.code, done.out, done.err)
        return done

    return run


@pytest.fixture
def api(server, monkeypatch):
    """The stand-in, set as the server to use."""
    monkeypatch.setenv("STOKER_API_URL", server.url)
    return server
