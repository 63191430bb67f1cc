"""Children's random numbers: their own, and as good as numpy's."""

import os
import sys

import numpy as np
import numpy.random
import pytest

from stoker.host.child import randomness


@pytest.fixture
def state():
    found = randomness.find_state()
    assert found is not None
    return found


def draw_in_child(state: int | None) -> bytes:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        randomness.renew(state)
        os.write(writer, np.random.bytes(64) + np.random.standard_normal(4).tobytes())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        return stream.read()


def test_children_draw_different_numbers(state):
    np.random.standard_normal()  # One of a pair: the other is kept for the next call.
    state = randomness.find_state()
    drawn = [draw_in_child(state) for _ in range(8)]
    assert all(len(one) == 96 for one in drawn)
    assert len({one[:64] for one in drawn}) == 8
    assert len({one[64:72] for one in drawn}) == 8


def test_a_generator_of_another_kind_is_seeded(monkeypatch):
    monkeypatch.setattr(np.random, "get_bit_generator", np.random.PCG64)
    assert randomness.find_state() is None
    np.random.seed(1)
    first = np.random.random()
    np.random.seed(1)
    randomness.renew(None)
    assert np.random.random() != first


def test_without_numpy_there_is_nothing_to_do(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy.random")
    assert randomness.find_state() is None
    randomness.renew(None)


def test_numbers_are_uniform_and_seeding_works_afterwards(state):
    randomness.renew(state)
    counts, _ = np.histogram(np.random.random(100_000), bins=10, range=(0, 1))
    # Ten bins of 10,000 each: 95 is the standard deviation, and 6 of them never happen.
    assert all(abs(count - 10_000) < 600 for count in counts)
    np.random.seed(42)
    assert np.random.random() == pytest.approx(0.3745401188473625)
