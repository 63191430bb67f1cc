"""The threads of submitted tasks."""

import random
import sys
import threading

import pytest

from stoker.engine.pool import ThreadPool, waiting

DEADLINE = 10


def test_settle_waits_for_all_that_is_expected() -> None:
    pool = ThreadPool(4)
    done = []
    for number in range(100):
        pool.expect()
        pool.put(lambda number=number: done.append(number))
    pool.settle(cancel=False, abandon=False)
    assert sorted(done) == list(range(100))


def test_threads_are_reused_and_let_go() -> None:
    pool = ThreadPool(3)
    seen = set()
    for _ in range(50):
        pool.expect()
        pool.put(lambda: seen.add(threading.current_thread()))
    pool.settle(cancel=False, abandon=False)
    assert 1 <= len(seen) <= 3
    for thread in seen:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_abandoned_work_is_not_waited_for() -> None:
    pool = ThreadPool(1)
    begun, go, after = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go.wait(DEADLINE)

    pool.expect()
    pool.put(slow)
    pool.expect()
    pool.put(after.set)
    assert begun.wait(DEADLINE)
    pool.settle(cancel=True, abandon=True)
    assert pool.cancelled
    go.set()
    assert after.wait(DEADLINE)


def test_a_place_is_lent_while_its_thread_waits_and_taken_back() -> None:
    pool = ThreadPool(1)
    running = most = 0
    lock = threading.Lock()
    inner = threading.Event()

    def count(change: int) -> None:
        nonlocal running, most
        with lock:
            running += change
            most = max(most, running)

    def leaf() -> None:
        count(1)
        count(-1)
        inner.set()

    def branch() -> None:
        count(1)
        pool.expect()
        pool.put(leaf)
        count(-1)
        with waiting():
            assert inner.wait(DEADLINE)
        count(1)
        count(-1)

    def other() -> None:
        count(1)
        count(-1)

    pool.expect()
    pool.put(branch)
    for _ in range(20):
        pool.expect()
        pool.put(other)
    pool.settle(cancel=False, abandon=False)
    assert inner.is_set()
    assert most == 1


def test_waiting_outside_of_a_pool_is_nothing() -> None:
    with waiting():
        pass


class Tree:
    """Tasks that submit tasks and wait for them, at random; counts how many run at a time."""

    def __init__(self, limit: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.pool = ThreadPool(limit)
        self.lock = threading.Lock()
        self.running = self.most = self.ended = self.begun = 0

    def count(self, change: int) -> None:
        with self.lock:
            self.running += change
            self.most = max(self.most, self.running)

    def plant(self, depth: int) -> threading.Event:
        done = threading.Event()

        def work() -> None:
            self.count(1)
            children = range(self.random.randint(1, 3) if depth else 0)
            for child in [self.plant(depth - 1) for _ in children]:
                self.count(-1)
                with waiting():
                    child.wait()
                self.count(1)
            self.count(-1)
            with self.lock:
                self.ended += 1
            done.set()

        with self.lock:
            self.begun += 1
        self.pool.expect()
        self.pool.put(work)
        return done


@pytest.fixture
def frequent_switches():
    """Threads interrupt each other wherever they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_no_wakeup_is_ever_lost(limit: int, frequent_switches) -> None:
    for seed in range(60):
        tree = Tree(limit, seed)
        for _ in range(tree.random.randint(1, 6)):
            tree.plant(tree.random.randint(0, 4))
        tree.pool.settle(cancel=False, abandon=False)
        assert tree.ended == tree.begun
        assert tree.most <= limit
