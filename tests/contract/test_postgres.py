"""What the store of several servers promises beyond the contract."""

import secrets
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import psycopg
import pytest

from stoker.domain.errors import Invalid, OutcomeUnknown, StokerError, Unavailable
from stoker.domain.runs import FlowRun, LogLine
from stoker.domain.states import StateRecord, StateType
from stoker.ports.store import Records, RunFilter
from stoker.storage.postgres import patience
from stoker.storage.postgres.messages import PIECE, pieces
from stoker.storage.postgres.session import PostgresSession
from stoker.storage.postgres.store import PostgresStore
from stoker.storage.postgres.writer import Writer
from stoker.testing.chaos.proxy import Proxy
from stoker.testing.postgres import PostgresServer, postgres


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    opened = PostgresStore(postgres_url)
    yield opened
    opened.close()


@pytest.fixture
def other(postgres_url: str, store: PostgresStore) -> Iterator[PostgresStore]:
    """Another server's store on the same database."""
    opened = PostgresStore(postgres_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server that tests break."""
    with postgres({}) as server:
        yield server


def add(number: int):
    """A unit that leaves one log line, and so shows how often it was run."""

    def work(records: Records) -> int:
        line = LogLine(at=1.0, level=20, logger="l", message=str(number))
        records.add_logs("r", [line])
        return number

    return work


def numbers(store: PostgresStore) -> list[int]:
    lines = store.read(lambda records: records.logs("r", 0, 10**6)).result(30)
    return sorted(int(line.message) for line in lines)


# Connections that are lost


def cut(session: PostgresSession) -> None:
    session._connection.pgconn.finish()
    raise psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.mark.parametrize("committed", [True, False])
def test_a_unit_whose_commit_was_cut_off_is_there_once(store, monkeypatch, committed):
    real = PostgresSession.commit
    cuts: list[bool] = []

    def commit(session: PostgresSession) -> None:
        if cuts or not session.writes:
            real(session)
            return
        cuts.append(True)
        if committed:
            real(session)
        cut(session)

    monkeypatch.setattr(PostgresSession, "commit", commit)
    assert store.write(add(1)).result(30) == 1
    assert store.write(add(2)).result(30) == 2
    assert cuts
    assert numbers(store) == [1, 2]


def test_what_cannot_be_found_out_is_an_error_and_runs_no_second_time(store, monkeypatch):
    real = PostgresSession.commit

    def commit(session: PostgresSession) -> None:
        real(session)
        if session.writes:
            cut(session)

    monkeypatch.setattr(PostgresSession, "commit", commit)
    monkeypatch.setattr(Writer, "_last_mark", lambda writer: None)
    with pytest.raises(OutcomeUnknown, match="what became of that is not known"):
        store.write(add(1)).result(30)
    monkeypatch.setattr(PostgresSession, "commit", real)
    assert numbers(store) == [1]


def test_a_commit_that_a_crash_took_is_not_taken_for_the_one_that_got_its_id(own, monkeypatch):
    """Postgres gives ids of transactions again that were in no log on disk when it crashed."""
    database = f"ids_{secrets.token_hex(4)}"
    store = PostgresStore(own.create_database(database))
    crash, crashed, ids = threading.Event(), threading.Event(), []
    real = PostgresSession.commit

    def commit(session: PostgresSession) -> None:
        if ids or not session.writes:
            real(session)
            return
        found = session.connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        ids.extend(found or ())
        crash.set()
        assert crashed.wait(60)
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    try:
        assert store.write(add(1)).result(30) == 1
        monkeypatch.setattr(PostgresSession, "commit", commit)
        written = store.write(add(2))
        assert crash.wait(30)
        own.kill()
        own.start()
        given = 0
        while given < ids[0]:
            ((given,),) = own.execute("SELECT pg_current_xact_id()::text::bigint")
        assert own.execute(f"SELECT pg_xact_status('{ids[0]}')") == [("committed",)]
        crashed.set()
        assert written.result(60) == 2
        assert numbers(store) == [1, 2]
    finally:
        crashed.set()
        store.close()


def test_who_asks_for_a_fate_waits_for_what_is_under_way(store, monkeypatch, postgres_server):
    """The connection is lost, and Postgres commits nevertheless, a little later."""
    real = PostgresSession.commit
    lost: list[PostgresSession] = []

    def commit(session: PostgresSession) -> None:
        if lost or not session.writes:
            real(session)
            return
        lost.append(session)
        threading.Timer(0.5, real, [session]).start()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(PostgresSession, "commit", commit)
    monkeypatch.setattr(PostgresSession, "roll_back", lambda session: None)
    assert store.write(add(1)).result(30) == 1
    monkeypatch.undo()
    lost[0].close()
    assert numbers(store) == [1]


def test_what_only_reads_leaves_no_mark(store, postgres_server, postgres_url):
    def marks() -> list[tuple[int]]:
        return postgres_server.execute(
            "SELECT mark FROM commit_marks ORDER BY written DESC LIMIT 1",
            postgres_url.rpartition("/")[2],
        )

    store.write(add(1)).result(10)
    (before,) = marks()
    store.write(lambda records: records.flow_run("r")).result(10)
    assert marks() == [before]
    store.write(add(2)).result(10)
    assert marks() == [(before[0] + 1,)]


def test_a_connection_that_an_administrator_ends_is_opened_anew(store, postgres_server):
    assert store.write(add(1)).result(10) == 1
    assert numbers(store) == [1]
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stoker'"
    assert postgres_server.execute(end)
    assert store.write(add(2)).result(10) == 2
    assert numbers(store) == [1, 2]


@pytest.mark.parametrize("sending", [False, True])
def test_a_stopped_servers_locks_are_free_after_a_while(store, other, sending):
    """Its transaction is ended; when it goes on, its unit is run again."""
    begin, begun, calls = threading.Event(), threading.Event(), []

    def stopped(records: Records) -> int:
        records.lock("pool:p")
        calls.append(1)
        if len(calls) == 1:
            records.flow_run("r")
            if sending:
                add(0)(records)
            begun.set()
            assert begin.wait(30)
        return add(1)(records)

    def locked(records: Records) -> int:
        records.lock("pool:p")
        return add(2)(records)

    first = store.write(stopped)
    assert begun.wait(10)
    assert other.write(locked).result(20) == 2
    begin.set()
    assert first.result(20) == 1
    assert len(calls) == 2
    assert numbers(store) == [1, 2]


def test_nothing_acknowledged_is_lost_and_nothing_done_twice_when_postgres_is_killed(own):
    store = PostgresStore(own.create_database())
    stop = threading.Event()
    given: dict[int, Future[int]] = {}

    def write_on() -> None:
        while not stop.is_set() and len(given) < 20_000:
            number = len(given)
            given[number] = store.write(add(number))
            if number % 20 == 0:
                given[number].exception(60)

    try:
        store.write(add(-1)).result(30)
        writer = threading.Thread(target=write_on)
        writer.start()
        for _ in range(3):
            before = len(given)
            deadline = time.monotonic() + 20
            while len(given) < before + 200 and time.monotonic() < deadline:
                stop.wait(0.01)
            own.kill()
            own.start()
        stop.set()
        writer.join(60)
        outcomes = {number: future.exception(60) for number, future in given.items()}
        found = numbers(store)
    finally:
        stop.set()
        store.close()
    assert len(found) == len(set(found)), "something was done twice"
    acknowledged = {number for number, error in outcomes.items() if error is None}
    assert acknowledged <= set(found), "something acknowledged was lost"
    assert len(acknowledged) > 400
    for error in outcomes.values():
        assert error is None or isinstance(error, Unavailable), error


# Several servers


def test_two_servers_that_lock_in_different_orders_both_go_on(store, other):
    def work(*names: str):
        def lock(records: Records) -> None:
            for name in names:
                records.lock(name)
                records.flow_run("r")

        return lock

    futures = []
    for _ in range(30):
        futures += [store.write(work("a", "b")), other.write(work("b", "a"))]
        futures += [store.write(work("c")), other.write(work("a")), store.write(work("a"))]
    started = time.monotonic()
    assert [future.result(60) for future in futures] == [None] * 150
    assert time.monotonic() - started < 30


def test_a_key_that_two_servers_take_at_once_is_taken_once(store, other):
    """A unit that looks first and then inserts finds at its second try what the other did."""

    def submit(run_id: str):
        def work(records: Records) -> str:
            known = records.runs_of_keys("d", ["k"]).get("k")
            if known is not None:
                return known.id
            state = StateRecord(StateType.SCHEDULED, "Scheduled", 1.0)
            run = FlowRun(id=run_id, name="n", flow_name="f", state=state, deployment_id="d")
            records.insert_runs([run], ["k"])
            return run_id

        return work

    futures = []
    for number in range(20):
        futures += [store.write(submit(f"a{number}")), other.write(submit(f"b{number}"))]
    assert len({future.result(30) for future in futures}) == 1
    assert len(store.read(lambda records: records.flow_runs(RunFilter())).result(10)) == 1


def test_messages_reach_the_others_and_not_their_sender(store, other):
    mine: list[bytes] = []
    theirs: list[bytes] = []
    arrived = threading.Event()
    store.subscribe(mine.append)

    def take(message: bytes) -> None:
        theirs.append(message)
        if message == b"last":
            arrived.set()

    other.subscribe(take)
    sent = [b"one", b"", b"\x00\xff", b"x" * 50_000, b"one", b"one"]
    store.publish(sent)
    store.publish([])
    store.publish([b"last"])
    assert arrived.wait(20)
    assert theirs == [*sent, b"last"]
    assert mine == []


def test_messages_come_again_after_a_lost_connection(store, other, postgres_server):
    arrived = threading.Event()
    other.subscribe(lambda message: arrived.set())
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stoker'"
    postgres_server.execute(end)
    for _ in range(100):
        store.publish([b"again"])
        if arrived.wait(0.1):
            return
    pytest.fail("no message came")


def test_a_notification_is_short_and_none_is_equal_to_another():
    payloads = pieces("me", [b"\x00" * 100_000])
    assert len(set(payloads)) == len(payloads) > 10
    assert max(map(len, payloads)) < 8000
    assert PIECE < 8000


# What is wrong, and what to do


def refused(url: str) -> str:
    with pytest.raises(StokerError) as caught:
        PostgresStore(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_opened_says_what_to_do(postgres_server, postgres_url):
    password = postgres_server.password
    wrong = refused(postgres_url.replace(password, "secret"))
    assert "the password is wrong; set the right one in STOKER_DATABASE_URL" in wrong
    assert ":***@" in wrong
    missing = refused(postgres_server.url("nothing"))
    assert "there is no such database; make it with `createdb`" in missing
    tls = refused(f"{postgres_url}?sslmode=require")
    assert "it takes no TLS, and sslmode in STOKER_DATABASE_URL asks for it" in tls
    assert "nothing listens there" in refused("postgresql://a:secret@127.0.0.1:1/x")
    assert "there is no such host or port" in refused("postgresql://a:secret@h:port/x")
    assert "write it as postgresql://USER" in refused("postgresql://h/x?secret=1")


def test_a_url_that_cannot_be_read_is_invalid():
    with pytest.raises(Invalid):
        PostgresStore("postgresql://h/x?nonsense=1")


def test_what_is_read_only_is_refused_and_says_so(postgres_server, postgres_url):
    PostgresStore(postgres_url).close()
    store = PostgresStore(f"{postgres_url}?options=-c%20default_transaction_read_only%3Don")
    try:
        with pytest.raises(Unavailable, match="read-only: a standby"):
            store.write(add(1)).result(10)
        assert numbers(store) == []
    finally:
        store.close()


def test_a_full_disk_is_said_in_one_line(store, monkeypatch):
    def full(records: Records) -> None:
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")

    with pytest.raises(Unavailable, match="its disk is full; free some space there"):
        store.write(full).result(10)
    assert store.write(add(1)).result(10) == 1


def test_texts_are_kept_with_what_postgres_has_not(store):
    text = "a\x00b\n\x00"
    line = LogLine(at=1.0, level=20, logger=text, message=text)
    store.write(lambda records: records.add_logs("r", [line])).result(10)
    (stored,) = store.read(lambda records: records.logs("r", 0, 9)).result(10)
    assert (stored.message, stored.logger) == (text, text)


def test_texts_are_in_the_order_of_their_bytes(store, postgres_server):
    """As SQLite has them, whatever the database's language is."""
    locale = "SELECT DISTINCT datlocprovider::text FROM pg_database"
    assert postgres_server.execute(locale) == [("i",)], "of ICU: an order of people"
    state = StateRecord(StateType.RUNNING, "Running", 1.0)
    runs = [FlowRun(id=run_id, name="n", flow_name="f", state=state) for run_id in "aBcD_"]
    store.write(lambda records: records.insert_runs(runs, [None] * 5)).result(10)
    found = store.read(lambda records: records.flow_runs(RunFilter())).result(10)
    assert [run.id for run in found] == ["c", "a", "_", "D", "B"]


def test_nothing_of_psycopg_is_loaded_without_a_url():
    source = Path(__file__).parents[2] / "src" / "stoker"
    for file in source.rglob("*.py"):
        if "storage/postgres" not in str(file) and "testing" not in str(file):
            for line in file.read_text().splitlines():
                assert not line.startswith(("import psycopg", "from psycopg")), file
                assert not line.startswith("from stoker.storage.postgres"), file


@pytest.fixture
def stalled(own: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Proxy, str]]:
    """A proxy before a database, and the URL through it; patience is short."""
    monkeypatch.setattr(patience, "LONGEST", 1.0)
    monkeypatch.setattr(patience, "LAST", 1.0)
    proxy = Proxy(own.port)
    url = own.create_database()
    there = "&" if "?" in url else "?"
    yield proxy, url.replace(f":{own.port}/", f":{proxy.port}/") + f"{there}connect_timeout=2"
    proxy.heal()


def test_a_connection_that_says_nothing_more_is_left(
    own: PostgresServer, stalled: tuple[Proxy, str]
) -> None:
    _, url = stalled
    store = PostgresStore(url)
    assert store.write(add(1)).result(10) == 1
    assert numbers(store) == [1]
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    backends = [one for one in own.processes() if (one.pid,) in rows]
    assert len(backends) == len(rows)
    try:
        for one in backends:
            one.send(signal.SIGSTOP)
        assert store.write(add(2)).result(20) == 2
        assert numbers(store) == [1, 2], "it was written once"
    finally:
        for one in backends:
            one.send(signal.SIGCONT)
        store.close()


def test_a_store_closes_although_its_database_says_nothing(stalled: tuple[Proxy, str]) -> None:
    proxy, url = stalled
    store = PostgresStore(url)
    store.subscribe(lambda _: None)
    store.write(add(1)).result(10)
    numbers(store)
    proxy.stall()
    written = [store.write(add(number)) for number in (2, 3, 4)]
    read = store.read(lambda records: records.logs("r", 0, 9))
    store.publish([b"news"])
    begun = time.monotonic()
    store.close()
    assert time.monotonic() - begun < 15.0
    for future in (*written, read):
        assert isinstance(future.exception(0), Unavailable)
