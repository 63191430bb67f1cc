"""The command line as a whole: help, errors, and what it must not load."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import stoker as package
from stoker.cli.lazy import LazyGroup
from stoker.cli.main import COMMANDS, cli

HEAVY = (
    "asyncio", "http.client", "ssl", "sqlite3", "pydantic", "rich", "litestar", "uvicorn",
    "websockets", "tomllib", "importlib.metadata", "stoker.flows", "stoker.engine",
    "stoker.client.http", "stoker.settings", "stoker.bootstrap",
)  # fmt: skip


def test_version_loads_nothing_heavy():
    code = (
        "import sys\n"
        "sys.argv = ['stoker', 'version']\n"
        "from stoker.cli.main import main\n"
        "try:\n    main()\n"
        f"finally:\n    print([m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_of_the_whole_loads_no_command():
    code = (
        "import sys\n"
        "sys.argv = ['stoker', '--help']\n"
        "from stoker.cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted(m for m in sys.modules if m.startswith('stoker.cli.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['stoker.cli.lazy', 'stoker.cli.main']"


def test_version_is_the_project_s(stoker):
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert package.__version__ == project["version"]
    assert stoker("version").out.startswith(f"stoker {project['version']} (Python 3.")
    assert stoker("version", "--json").json["version"] == project["version"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_says_what_its_table_says(name):
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help
    assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


def commands(group: click.Group, path: tuple[str, ...] = ()):
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from commands(command, (*path, name))
            else:
                yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), list(commands(cli)), ids=str)
def test_every_command_and_option_is_documented(path, command):
    assert command.help, path
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, (path, parameter.name)


LISTS_OR_SHOWS = {"ls", "inspect", "view", "version", "logs"}


def test_what_lists_or_shows_prints_json():
    for path, command in commands(cli):
        if path[-1] in LISTS_OR_SHOWS:
            assert "as_json" in {parameter.name for parameter in command.params}, path


def test_an_unknown_command_is_a_usage_error(stoker):
    assert "No such command 'fly'" in stoker("fly", code=2).err


def test_an_error_is_one_line_without_a_traceback(stoker):
    err = stoker("flow-run", "ls", code=1).err
    assert err.startswith("Error: no server runs on ")
    assert "stoker up" in err
    assert err.count("\n") == 1


def test_a_server_that_is_gone_is_one_line(stoker, monkeypatch, free_port):
    monkeypatch.setenv("STOKER_API_URL", f"http://127.0.0.1:{free_port}")
    assert "no server at http://127.0.0.1" in stoker("flow-run", "ls", code=1).err


def test_a_wrong_setting_is_one_line(stoker, monkeypatch):
    monkeypatch.setenv("STOKER_HEARTBEAT", "soon")
    err = stoker("config", "view", code=1).err
    assert err == "Error: STOKER_HEARTBEAT must be a number of seconds above 0, not 'soon'\n"


def test_an_error_of_the_system_is_one_line():
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/x")

    class Group(LazyGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return click.Command("c", callback=fail)

    result = CliRunner().invoke(Group("g", table={}), ["c"])
    assert result.exit_code == 1
    assert "Permission denied: '/x'" in result.stderr


def test_python_dash_m_is_the_same_command():
    command = [sys.executable, "-m", "stoker", "version", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["version"] == package.__version__


def test_config_view_shows_values_and_sources(stoker, monkeypatch):
    monkeypatch.setenv("STOKER_HEARTBEAT", "7")
    monkeypatch.setenv("STOKER_API_KEY", "topsecret")
    shown = stoker("config", "view")
    assert "topsecret" not in shown.out
    line = next(line for line in shown.out.splitlines() if line.strip().startswith("heartbeat"))
    assert line.split()[:3] == ["heartbeat", "7.0", "STOKER_HEARTBEAT"]


def test_config_view_as_json(stoker, monkeypatch):
    monkeypatch.setenv("STOKER_API_KEY", "topsecret")
    rows = {row["name"]: row for row in stoker("config", "view", "--json").json}
    assert rows["api_key"]["value"] == "********"
    assert rows["api_key"]["source"] == "STOKER_API_KEY"
    assert rows["sweep"]["value"] == 5.0
    assert rows["sweep"]["source"] == "default"
    assert set(rows["sweep"]) == {"name", "value", "source", "variable", "allowed", "doc"}
