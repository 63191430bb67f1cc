"""Settings: where they come from, and what is said about wrong ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from stoker import settings
from stoker.domain.errors import Invalid
from stoker.settings import DEFAULT, Settings, fields, load, load_with_sources


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """An empty project folder as working directory."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    load.cache_clear()
    yield root
    load.cache_clear()


def test_defaults(monkeypatch):
    monkeypatch.delenv("STOKER_HOME")
    found, sources = load_with_sources()
    assert found == Settings(home=Path.home() / ".stoker")
    assert set(sources.values()) == {DEFAULT}
    assert set(sources) == set(Settings.__struct_fields__)


def test_environment_wins_over_the_file_and_the_file_over_the_default(project, monkeypatch):
    (project / "stoker.toml").write_text("heartbeat = 2\nlease = 20\n")
    monkeypatch.setenv("STOKER_HEARTBEAT", "3")
    found, sources = load_with_sources()
    assert (found.heartbeat, found.lease, found.sweep) == (3.0, 20.0, 5.0)
    assert sources["heartbeat"] == "STOKER_HEARTBEAT"
    assert sources["lease"] == str(project / "stoker.toml")
    assert sources["sweep"] == DEFAULT


def test_pyproject_has_its_table(project):
    (project / "pyproject.toml").write_text("[tool.stoker]\nserver_port = 1234\n")
    assert load_with_sources()[0].server_port == 1234


def test_stoker_toml_wins_over_pyproject(project):
    (project / "pyproject.toml").write_text("[tool.stoker]\nserver_port = 1\n")
    (project / "stoker.toml").write_text("server_port = 2\n")
    assert load_with_sources()[0].server_port == 2


@pytest.mark.parametrize("marker", [".git", "pyproject.toml"])
def test_a_file_of_a_parent_counts_up_to_the_project_s_root(project, monkeypatch, marker):
    (project / marker).touch()
    (project / "stoker.toml").write_text("server_port = 2\n")
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_with_sources()[0].server_port == 2


def test_a_file_above_the_project_s_root_does_not_count(project, monkeypatch):
    (project / "stoker.toml").write_text("server_port = 2\n")
    root = project / "inner"
    (root / ".git").mkdir(parents=True)
    monkeypatch.chdir(root)
    assert load_with_sources()[0].server_port == 4200


def test_without_a_project_parents_do_not_count(project, monkeypatch):
    (project / "stoker.toml").write_text("server_port = 2\n")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert load_with_sources()[0].server_port == 4200


def test_a_relative_home_in_a_file_is_relative_to_it(project, monkeypatch):
    monkeypatch.delenv("STOKER_HOME")
    (project / ".git").mkdir()
    (project / "stoker.toml").write_text('home = "state"\n')
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert load_with_sources()[0].home == project / "state"


def test_a_home_may_start_with_a_tilde(monkeypatch):
    monkeypatch.setenv("STOKER_HOME", "~/x")
    assert load_with_sources()[0].home == Path.home() / "x"


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("STOKER_API_URL", "")
    found, sources = load_with_sources()
    assert found.api_url is None
    assert sources["api_url"] == DEFAULT


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://a:1", "http://a:1"),
        ("http://a:1/", "http://a:1"),
        ("https://a/api", "https://a"),
        ("https://a/sub/api/", "https://a/sub"),
    ],
)
def test_the_url_is_the_server_s_not_its_api_s(monkeypatch, given, url):
    monkeypatch.setenv("STOKER_API_URL", given)
    assert load_with_sources()[0].api_url == url


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("HEARTBEAT", "soon", "a number of seconds above 0"),
        ("HEARTBEAT", "0", "a number of seconds above 0"),
        ("SERVER_PORT", "70000", "0 to 65535"),
        ("API_URL", "localhost:4200", "like http://127.0.0.1:4200"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("SQLITE_SYNCHRONOUS", "never", "FULL, NORMAL or OFF"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_allowed(monkeypatch, name, value, allowed):
    monkeypatch.setenv(f"STOKER_{name}", value)
    with pytest.raises(Invalid) as caught:
        load_with_sources()
    assert str(caught.value).startswith(f"STOKER_{name} must be ")
    assert allowed in str(caught.value)
    assert value.upper() in str(caught.value).upper()


def test_a_wrong_value_in_a_file_names_the_file(project):
    (project / "stoker.toml").write_text('heartbeat = "soon"\n')
    with pytest.raises(Invalid, match=r"^heartbeat in .*stoker\.toml must be a number of seconds"):
        load_with_sources()


def test_a_wrong_key_is_never_shown(project):
    (project / "stoker.toml").write_text("api_key = 12345\n")
    with pytest.raises(Invalid, match=r"api_key in .* must be text") as caught:
        load_with_sources()
    assert "12345" not in str(caught.value)


def test_an_unknown_key_is_said_with_those_that_exist(project):
    (project / "stoker.toml").write_text("hartbeat = 1\n")
    with pytest.raises(Invalid, match=r"sets 'hartbeat'.*it knows: home, .*heartbeat"):
        load_with_sources()


@pytest.mark.parametrize("text", ["heartbeat =", "[tool"])
def test_a_file_that_is_no_toml_is_said(project, text):
    (project / "stoker.toml").write_text(text)
    with pytest.raises(Invalid, match=r"stoker\.toml is not valid TOML"):
        load_with_sources()


def test_a_table_of_something_else_is_said(project):
    (project / "pyproject.toml").write_text("[tool]\nstoker = 1\n")
    with pytest.raises(Invalid, match="must be a table"):
        load_with_sources()


def test_a_lease_must_outlast_a_heartbeat(monkeypatch):
    monkeypatch.setenv("STOKER_LEASE", "5")
    with pytest.raises(Invalid, match=r"lease \(5 s, STOKER_LEASE\) must be longer than heartbeat"):
        load_with_sources()


def test_load_reads_once(monkeypatch):
    first = load()
    monkeypatch.setenv("STOKER_HEARTBEAT", "1")
    assert load() is first


def test_each_setting_is_documented():
    rows = fields()
    assert [row.name for row in rows] == list(Settings.__struct_fields__)
    for row in rows:
        assert row.doc.endswith(".")
        assert row.allowed
        assert row.variable == f"STOKER_{row.name.upper()}"


def test_settings_load_no_parser_without_a_file(project):
    code = "import stoker.settings, sys; stoker.settings.load(); print('tomllib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_secrets_are_settings():
    assert settings.SECRET.issubset(Settings.__struct_fields__)


def test_several_addresses(monkeypatch):
    monkeypatch.setenv("STOKER_API_URL", "http://a:4200/api, https://b/,http://a:4200")
    assert load().api_url == "http://a:4200,https://b"
    monkeypatch.setenv("STOKER_API_URL", "http://a:4200,b:4200")
    with pytest.raises(Invalid, match="STOKER_API_URL must be an address like"):
        load_with_sources()
