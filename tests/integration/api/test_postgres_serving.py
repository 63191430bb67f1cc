"""Servers on Postgres: several on one home, and over TLS."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.client.discovery import live_server
from stoker.testing.postgres import PostgresServer


def refused(server: Any, *options: str) -> str:
    """Start a server that must not come up; return the one line that it writes."""
    server.launch(*(options or ("--port", "0")))
    code, text = server.ended()
    assert code not in (0, None)
    (line,) = text.splitlines()
    return line


def address(server: Any) -> str:
    """Where a server serves, by its own word."""
    words = server.wait_for_line("serving http").partition("serving ")[2]
    return words.partition(",")[0]


def test_two_servers_share_a_home_each_on_a_port_of_its_own(new_server, postgres_url):
    one = new_server(database_url=postgres_url).start()
    other = new_server(database_url=postgres_url).start()
    assert one.home == other.home
    first, second = address(one), address(other)
    assert first != second
    taken = refused(new_server(database_url=postgres_url), "--port", first.rpartition(":")[2])
    assert "Address already in use" in taken
    assert "--port" in taken
    # Whoever looks for a server on the home finds one as long as there is one.
    assert live_server(one.home) in (first, second)
    one.stop()
    assert live_server(one.home) == second
    assert other.call("POST", "/api/work-pools", {"name": "p"}).status == 201
    other.stop()
    assert live_server(one.home) is None
    assert list(one.home.glob("server*")) == []


def openssl(*arguments: str | Path, cwd: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def make_ca(folder: Path, name: str) -> Path:
    """Make a certificate authority, and return its certificate."""
    options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    options += ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"]
    openssl(*options, "-days", "2", cwd=folder)
    return folder / f"{name}.pem"


def make_certificate(folder: Path, ca: str) -> None:
    """Make ``server.key`` and ``server.crt``, for the address 127.0.0.1 alone."""
    options = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(*options, "-keyout", "server.key", "-out", "csr", "-subj", "/CN=db", cwd=folder)
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
    sign = ["x509", "-req", "-in", "csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key"]
    sign += ["-CAcreateserial", "-out", "server.crt", "-days", "2", "-extfile", "extensions"]
    openssl(*sign, cwd=folder)


@pytest.fixture
def tls(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Path]:
    """A folder with the authority of the tests' Postgres, which takes TLS now, and another."""
    make_ca(tmp_path, "ca")
    make_ca(tmp_path, "other")
    make_certificate(tmp_path, "ca")
    owner = os.stat(postgres_server.data)
    for name in ("server.key", "server.crt"):
        placed = Path(shutil.copy(tmp_path / name, postgres_server.data))
        os.chown(placed, owner.st_uid, owner.st_gid)
        placed.chmod(0o600)
    postgres_server.execute("ALTER SYSTEM SET ssl = on")
    postgres_server.execute("SELECT pg_reload_conf()")
    yield tmp_path
    postgres_server.execute("ALTER SYSTEM RESET ssl")
    postgres_server.execute("SELECT pg_reload_conf()")


def test_over_tls_it_checks_who_the_database_is(new_server, postgres_server, postgres_url, tls):
    def url(ca: str, at: str = "127.0.0.1") -> str:
        named = postgres_url.replace("127.0.0.1", at)
        return f"{named}?sslmode=verify-full&sslrootcert={tls / ca}"

    server = new_server(database_url=url("ca.pem")).start()
    assert server.call("POST", "/api/work-pools", {"name": "p"}).status == 201
    encrypted = postgres_server.execute(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        f" WHERE datname = '{postgres_url.rpartition('/')[2]}'"
    )
    assert len(encrypted) >= 3
    assert set(encrypted) == {(True,)}
    health = server.get("/api/health")
    assert postgres_server.password not in str(health)

    line = refused(new_server("wrong", database_url=url("other.pem")))
    assert "its certificate is not to be trusted; set sslrootcert in STOKER_DATABASE_URL" in line
    line = refused(new_server("absent", database_url=url("absent.pem")))
    assert "absent.pem" in line
    line = refused(new_server("name", database_url=url("ca.pem", at="localhost")))
    assert "its certificate is of another host; name that one in STOKER_DATABASE_URL" in line
