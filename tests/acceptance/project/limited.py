"""Flows that take slots of limits."""

import time

from stoker import flow, task
from stoker.concurrency import arate_limit, concurrency, rate_limit
from stoker.testing import arrive


@task(tags=["limited", "unlimited"])
def tagged(gate: str, n: int) -> int:
    arrive(gate, n)
    return n


@flow
def tagging(gate: str, n: int) -> int:
    return tagged(gate, n)


@task(tags=["limited"])
async def tagged_later(gate: str, n: int) -> int:
    arrive(gate, n)
    return n


@flow
async def tagging_async(gate: str, n: int) -> int:
    return await tagged_later(gate, n)


@flow
def mapping(gate: str, ns: list[int]) -> int:
    return sum(tagged.map(gate, ns).result())


@flow
def occupying(
    gate: str,
    names: list[str],
    n: int,
    occupy: int = 1,
    timeout: float | None = None,
    strict: bool = False,
) -> int:
    with concurrency(names, occupy=occupy, timeout_seconds=timeout, strict=strict):
        arrive(gate, n)
    return n


@flow
async def occupying_async(gate: str, names: list[str], n: int, occupy: int = 1) -> int:
    async with concurrency(names, occupy=occupy):
        arrive(gate, n)
    return n


@flow
def paced(name: str, times: int) -> list[float]:
    stamps = [time.time()]
    for _ in range(times):
        rate_limit(name)
        stamps.append(time.time())
    return stamps


@flow
async def paced_async(name: str, times: int) -> list[float]:
    stamps = [time.time()]
    for _ in range(times):
        await arate_limit(name)
        stamps.append(time.time())
    return stamps
