"""The threads of submitted tasks."""

import threading

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
