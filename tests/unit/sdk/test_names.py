"""Prefect 3's names: what is there of them, and that it does what they say."""

import asyncio
from typing import Any, cast

import pytest

import stoker
from stoker import exceptions, flow, tags, task
from stoker.runtime import flow_run, task_run

PREFECT = [
    "Flow",
    "State",
    "Task",
    "allow_failure",
    "apause_flow_run",
    "aresume_flow_run",
    "aserve",
    "asuspend_flow_run",
    "deploy",
    "flow",
    "get_run_logger",
    "pause_flow_run",
    "resume_flow_run",
    "serve",
    "suspend_flow_run",
    "tags",
    "task",
    "unmapped",
]
"""`prefect.__all__` of 3.9, but for `get_client` and `Transaction`."""


@pytest.mark.parametrize("name", PREFECT)
def test_a_name_of_prefect_is_there(name):
    assert name in stoker.__all__
    assert callable(getattr(stoker, name))


@pytest.mark.parametrize("name", exceptions.__all__)
def test_an_exception_is_there(name):
    assert issubclass(getattr(exceptions, name), BaseException)


@task(tags=["own"])
def mine() -> list[str]:
    return task_run.tags


@flow
def inner() -> list[str]:
    return flow_run.tags


@flow
def outer() -> list[list[str]]:
    before = mine()
    with tags("a"):
        with tags("b", "own") as known:
            assert known == {"a", "b", "own"}
            found = [flow_run.tags, mine(), mine.submit().result(), inner()]
        found.append(mine())
    return [before, *found, mine()]


def test_tags_are_given_to_what_begins_in_the_block():
    own, both = ["own"], ["a", "b", "own"]
    assert outer() == [own, [], both, both, both, ["a", "own"], own]
    with tags("script"):
        assert inner() == ["script"]
    assert inner() == []


def test_tags_are_those_of_a_coroutine_s_own_block():
    @flow
    async def told(tag: str, ready: asyncio.Event) -> list[str]:
        await asyncio.sleep(0)
        ready.set()
        return flow_run.tags

    async def within(tag: str, mine: asyncio.Event, other: asyncio.Event) -> list[str]:
        with tags(tag):
            mine.set()
            await other.wait()
            return await told(tag, mine)

    async def main() -> list[list[str]]:
        one, two = asyncio.Event(), asyncio.Event()
        return list(await asyncio.gather(within("x", one, two), within("y", two, one)))

    assert asyncio.run(main()) == [["x"], ["y"]]


def test_what_is_no_tag_is_refused():
    with pytest.raises(TypeError, match=r"tags\(\): tags must be"), tags(*cast(Any, [5])):
        pass
