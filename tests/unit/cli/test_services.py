"""``stoker server start`` and ``stoker worker start``: what they hand to server and worker."""

import logging

import pytest

from stoker.cli.terminal_log import log_to_terminal
from stoker.domain.errors import Conflict
from stoker.launchers.process import ProcessLauncher


@pytest.fixture(autouse=True)
def no_logging(monkeypatch):
    monkeypatch.setattr("stoker.cli.terminal_log.log_to_terminal", lambda *_: None)


@pytest.fixture
def served(monkeypatch):
    calls = []
    monkeypatch.setattr("stoker.bootstrap.serving.serve", calls.append)
    return calls


@pytest.fixture
def worked(monkeypatch):
    calls = []

    async def run_worker(config, launchers, clock) -> None:
        calls.append((config, launchers))

    monkeypatch.setattr("stoker.worker.service.run_worker", run_worker)
    return calls


def test_server_start_overrides_settings(stoker, served, monkeypatch, stoker_home):
    monkeypatch.setenv("STOKER_SERVER_HOST", "::1")
    stoker("server", "start", "--port", "0")
    assert (served[0].server_host, served[0].server_port, served[0].home) == ("::1", 0, stoker_home)
    stoker("server", "start", "--host", "127.0.0.2")
    assert (served[1].server_host, served[1].server_port) == ("127.0.0.2", 4200)


def test_a_server_that_cannot_start_is_one_line(stoker, monkeypatch):
    def refuse(_):
        raise Conflict("a server runs already")

    monkeypatch.setattr("stoker.bootstrap.serving.serve", refuse)
    assert stoker("server", "start", code=1).err == "Error: a server runs already\n"


def test_a_port_is_a_number_of_two_bytes(stoker, served):
    stoker("server", "start", "--port", "65536", code=2)
    assert not served


def test_worker_start_says_whom_it_serves(stoker, worked, api, monkeypatch, stoker_home):
    monkeypatch.setenv("STOKER_API_KEY", "k")
    monkeypatch.setenv("STOKER_SHUTDOWN_GRACE", "3")
    stoker("worker", "start", "-p", "p", "-q", "a", "-q", "b", "--limit", "4", "--name", "w")
    config, launchers = worked[0]
    assert (config.api_url, config.api_key, config.home) == (api.url, "k", stoker_home)
    assert (config.pool, config.queues, config.limit, config.name) == ("p", ["a", "b"], 4, "w")
    assert config.grace == 3.0
    assert launchers == {"process": ProcessLauncher}


def test_worker_start_needs_a_pool_and_a_server(stoker, worked):
    stoker("worker", "start", code=2)
    assert "stoker up" in stoker("worker", "start", "-p", "p", code=1).err
    assert not worked


@pytest.mark.parametrize(("level", "shown"), [("INFO", ["ours"]), ("DEBUG", ["theirs", "ours"])])
def test_the_http_server_s_chatter_is_for_debugging(monkeypatch, capsys, level, shown):
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    monkeypatch.setattr(logging, "getLogger", lambda name=None: root)
    log_to_terminal(level, "text")
    for name, text in (("uvicorn.error", "theirs"), ("stoker.server", "ours")):
        root.handle(root.makeRecord(name, logging.INFO, "", 0, text, (), None))
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition("| ")[2] for line in lines] == shown
