"""Interrupts: raised in user code, put off where a report is under way."""

import os
import signal
import threading

import pytest

from stoker.engine.interrupts import (
    RunCancelled,
    RunTimeout,
    call_within,
    cancelled_by_sigterm,
    deliver,
)
from stoker.testing.recording import RecordingBackend


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_raises_in_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def cancelled() -> None:
        with cancelled_by_sigterm():
            terminate()
            raise AssertionError

    with pytest.raises(RunCancelled):
        cancelled()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_report_is_finished_first() -> None:
    class Slow(RecordingBackend):
        def report(self, run_id, *reports):
            terminate()
            super().report(run_id, *reports)
            self.closed = True

    backend = Slow()

    def cancelled() -> None:
        with cancelled_by_sigterm():
            deliver(backend, "run")
            raise AssertionError

    with pytest.raises(RunCancelled):
        cancelled()
    assert backend.closed


def test_a_report_in_a_thread_does_not_take_the_interrupt() -> None:
    raised = []
    begun, go = threading.Event(), threading.Event()

    class Slow(RecordingBackend):
        def report(self, run_id, *reports):
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                go.wait(10)
            else:
                terminate()
                go.set()
                thread.join(10)

    def work():
        try:
            deliver(backend, "run")
        except BaseException as error:
            raised.append(error)

    backend = Slow()
    thread = threading.Thread(target=work)

    def cancelled() -> None:
        with cancelled_by_sigterm():
            thread.start()
            assert begun.wait(10)
            deliver(backend, "run")
            raise AssertionError

    with pytest.raises(RunCancelled):
        cancelled()
    assert raised == []


def test_outside_of_the_main_thread_nothing_is_installed() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with cancelled_by_sigterm():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_call_in_time_gives_its_value_and_leaves_no_timer() -> None:
    assert call_within(10, "it", divmod, (7, 2), {}) == (3, 1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_call_that_is_late_is_ended() -> None:
    with pytest.raises(RunTimeout, match=r"it ran longer than 0\.01 s"):
        call_within(0.01, "it", threading.Event().wait, (10,), {})


def test_a_timer_of_the_users_goes_on() -> None:
    fired = []
    before = signal.signal(signal.SIGALRM, lambda *_: fired.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(RunTimeout):
            call_within(0.01, "it", threading.Event().wait, (10,), {})
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 0.05
        while not fired:
            signal.pause()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert fired == [1]


def test_a_late_call_that_swallows_its_end_is_late() -> None:
    def swallows() -> int:
        try:
            threading.Event().wait(10)
        except TimeoutError:
            return 1
        return 2

    with pytest.raises(RunTimeout, match=r"it ran longer than 0\.01 s"):
        call_within(0.01, "it", swallows, (), {})
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
