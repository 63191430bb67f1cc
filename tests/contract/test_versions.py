"""Which Stoker may work on which schema, on both databases."""

import threading
from pathlib import Path

import pytest

from stoker.domain.errors import Conflict
from stoker.ports.store import Store
from stoker.storage import queries
from stoker.storage.versions import BREAKS

ADDS = "ALTER TABLE flow_runs ADD COLUMN mood TEXT;\nCREATE TABLE moods (name TEXT PRIMARY KEY);\n"


def works(store: Store) -> None:
    try:
        store.write(lambda records: records.pools()).result(10)
        assert store.read(lambda records: records.flow_run("r")).result(10) is None
    finally:
        store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request) -> str:
    return request.param


def test_a_server_goes_on_beside_a_newer_one_whose_schema_only_adds(opener, knows, tmp_path):
    older = opener(tmp_path)
    try:
        # What it has prepared reads the table as it is now.
        assert older.read(lambda records: records.flow_run("r")).result(10) is None
        older.write(lambda records: records.flow_run("r")).result(10)
        knows(ADDS)
        works(opener(tmp_path))
        older.write(lambda records: records.flow_run("r")).result(10)
    finally:
        works(older)
    knows()
    works(opener(tmp_path))


def test_an_older_server_is_refused_where_the_schema_breaks_it(opener, knows, tmp_path):
    knows(f"{BREAKS} they would not see moods.\n{ADDS}", "CREATE TABLE more (x TEXT PRIMARY KEY);")
    works(opener(tmp_path))
    knows()
    with pytest.raises(Conflict, match=r"a newer Stoker wrote it\. Upgrade Stoker, or set STOKER_"):
        opener(tmp_path)


def test_servers_that_start_at_once_prepare_one_schema(opener, tmp_path):
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(opener(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in opened:
        works(store)
    assert len(opened) == 4


def test_every_migration_that_breaks_says_why():
    folder = Path(queries.__file__).with_name("sql") / "migrations"
    for file in folder.glob("*.sql"):
        for line in file.read_text().splitlines():
            if "Breaks" in line:
                assert line.startswith(f"{BREAKS} "), file
                assert len(line) > len(BREAKS) + 10, file
