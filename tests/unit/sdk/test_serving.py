"""Where `serve` cannot serve it says so before it starts anything."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from stoker import aserve, flow, serve
from stoker.domain.errors import Invalid
from stoker.engine.flow_files import deployment_of
from stoker.serving import pool_name


@flow
def hello(name: str = "world") -> str:
    """Greet someone."""
    return name


@flow
def serving() -> None:
    hello.serve("inner")


@flow
async def serving_later() -> None:
    await aserve(hello.to_deployment("inner"))


def test_a_deployment_is_described_as_prefect_does():
    found = hello.to_deployment(parameters={"name": "Ada"}, tags=["a"], description="Hi.")
    assert found.full_name == "hello/hello"
    assert (found.parameters, found.tags, found.description) == ({"name": "Ada"}, ["a"], "Hi.")
    named = hello.to_deployment(__file__)
    assert (named.name, named.description) == ("test_serving", "Greet someone.")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "needs a deployment"),
        ([hello], r"takes what flow.to_deployment\(name\) returns, not"),
        ([hello.to_deployment("a"), hello.to_deployment("a")], "was given hello/a more than once"),
    ],
)
def test_what_is_no_list_of_deployments_is_refused(given, problem):
    with pytest.raises((TypeError, ValueError), match=problem):
        serve(*given)


def test_a_limit_is_one_or_more():
    with pytest.raises(ValueError, match="limit must be 1 run or more at a time, not 0"):
        hello.serve("a", limit=0)


def test_not_in_a_flow():
    with pytest.raises(RuntimeError, match="called in the flow 'serving'"):
        serving()
    with pytest.raises(RuntimeError, match="called in the flow 'serving-later'"):
        asyncio.run(serving_later())


def test_not_where_it_would_block_an_event_loop():
    async def main() -> None:
        hello.serve("a")

    with pytest.raises(RuntimeError, match="use `await aserve"):
        asyncio.run(main())


def test_not_outside_of_the_main_thread():
    raised: list[BaseException] = []

    def run() -> None:
        try:
            hello.serve("a")
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


def test_not_by_the_import_of_a_deployed_file(tmp_path):
    file = tmp_path / "bare_serve.py"
    file.write_text("from stoker import flow\n@flow\ndef f(): ...\nf.serve('x')\n")
    with pytest.raises(Invalid, match='put it under `if __name__ == "__main__":`'):
        deployment_of(file, None, name="x")


def test_what_goes_wrong_is_told_alone():
    with pytest.raises(ValueError, match="needs a deployment") as caught:
        serve()
    assert caught.value.__context__ is None


def test_a_script_has_a_pool_of_its_own(monkeypatch):
    main = sys.modules["__main__"]
    found = set()
    for file in ("/srv/a/etl.py", "/srv/b/etl.py"):
        monkeypatch.setattr(main, "__file__", file)
        found.add(pool_name([hello.to_deployment("a")]))
        found.add(pool_name([hello.to_deployment("b")]))
    monkeypatch.delattr(main, "__file__")
    found.add(pool_name([hello.to_deployment("a")]))
    assert len(found) == 3
    assert sum(name.startswith("serve-etl-") for name in found) == 2
    assert sum(name.startswith(f"serve-{Path(__file__).stem}-") for name in found) == 1
