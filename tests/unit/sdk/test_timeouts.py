"""Time limits of ordinary functions: by signal in the main thread, told in other threads."""

import signal
import threading
import time

import pytest

from stoker import flow, task
from stoker.domain.states import StateType
from stoker.testing.recording import RecordingBackend

DEADLINE = 10
SOON = 0.02


def hang() -> None:
    if threading.Event().wait(DEADLINE):
        raise AssertionError


@pytest.fixture(autouse=True)
def alarm_is_restored():
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_a_flow_is_ended(backend: RecordingBackend) -> None:
    @flow(timeout_seconds=SOON)
    def hangs():
        hang()

    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"longer than 0\.02 s"):
        hangs()
    assert time.monotonic() - begun < DEADLINE / 2
    state = backend.finished("hangs").state
    assert (state.type, state.name) == (StateType.FAILED, "TimedOut")


def test_a_busy_loop_is_ended() -> None:
    @flow(timeout_seconds=SOON)
    def spins():
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            pass

    assert spins(return_state=True).name == "TimedOut"


def test_reports_under_way_are_never_broken_off(backend: RecordingBackend) -> None:
    inside = broken = 0

    class Careful(RecordingBackend):
        def report(self, run_id, *reports):
            nonlocal inside, broken
            inside += 1
            whole = False
            try:
                super().report(run_id, *reports)
                for _ in range(2000):
                    pass
                whole = True
            finally:
                inside -= 1
                broken += not whole

    from stoker.engine import backends

    @task
    def noop():
        pass

    @flow(timeout_seconds=0.005)
    def busy():
        while True:
            noop()

    with backends.use(Careful()):
        for _ in range(10):
            assert busy(return_state=True).name == "TimedOut"
    assert (inside, broken) == (0, 0)


def test_what_is_in_time_is_left_alone(backend: RecordingBackend) -> None:
    @task(timeout_seconds=DEADLINE)
    def quick():
        return 1

    @flow(timeout_seconds=DEADLINE)
    def run():
        return quick()

    assert run() == 1


def test_the_inner_limit_ends_the_inner_one_alone(backend: RecordingBackend) -> None:
    @task(timeout_seconds=SOON)
    def hangs():
        hang()

    @flow(timeout_seconds=DEADLINE)
    def run():
        with pytest.raises(TimeoutError, match="hangs-0"):
            hangs()
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        return DEADLINE / 2 < left < DEADLINE

    assert run() is True


def test_the_outer_limit_ends_both(backend: RecordingBackend) -> None:
    @task(timeout_seconds=DEADLINE)
    def hangs():
        hang()

    @flow(timeout_seconds=SOON)
    def run():
        hangs()

    begun = time.monotonic()
    assert run(return_state=True).name == "TimedOut"
    assert time.monotonic() - begun < DEADLINE / 2


def test_each_attempt_has_its_own_time(backend: RecordingBackend) -> None:
    calls = []

    @task(timeout_seconds=SOON, retries=1)
    def slow_once():
        calls.append(1)
        if len(calls) == 1:
            hang()
        return "ok"

    @flow
    def run():
        return slow_once()

    assert run() == "ok"


def test_in_a_thread_the_overrun_is_told_and_the_result_dropped(
    backend: RecordingBackend,
) -> None:
    warned = threading.Event()

    class Listening(RecordingBackend):
        def report(self, run_id, *reports):
            super().report(run_id, *reports)
            if any("cannot be ended" in line.message for line in self.lines()):
                warned.set()

    from stoker.engine import backends

    @task(timeout_seconds=SOON)
    def slow():
        assert warned.wait(DEADLINE)
        return 1

    @flow
    def run():
        with pytest.raises(TimeoutError, match=r"longer than 0\.02 s"):
            slow.submit().result(DEADLINE)

    with backends.use(Listening()) as listening:
        run()
    assert listening.task_runs()[0].state.name == "TimedOut"


def test_a_flow_whose_time_is_over_does_not_wait_for_its_tasks(
    backend: RecordingBackend,
) -> None:
    go = threading.Event()

    @task
    def slow():
        go.wait(DEADLINE)

    @flow(timeout_seconds=SOON)
    def run():
        slow.submit().result()

    begun = time.monotonic()
    assert run(return_state=True).name == "TimedOut"
    assert time.monotonic() - begun < DEADLINE / 2
    go.set()


def test_a_flow_that_passes_a_tasks_time_limit_on_has_failed(backend: RecordingBackend) -> None:
    @task(timeout_seconds=SOON)
    def hangs():
        hang()

    @flow(timeout_seconds=DEADLINE)
    def run():
        hangs()

    assert run(return_state=True).name == "Failed"
    assert backend.task_runs()[0].state.name == "TimedOut"


def test_no_submitted_task_is_lost_to_a_time_limit(backend: RecordingBackend) -> None:
    @task
    def noop():
        pass

    @task(timeout_seconds=0.005)
    def submits():
        while True:
            noop.submit()

    @flow
    def run():
        assert submits(return_state=True).name == "TimedOut"

    for _ in range(5):
        run()
