"""What retries are made of."""

import pytest

from stoker.engine.blocking import seconds_of
from stoker.engine.retries import NEVER, RetryPolicy, retry_policy
from stoker.engine.steps import Sleep


@pytest.mark.parametrize(
    ("retries", "delay", "policy"),
    [
        (None, None, NEVER),
        (0, 5, NEVER),
        (2, None, RetryPolicy(2)),
        (2, 5, RetryPolicy(2, (5.0,))),
        (2, [1, 2.5], RetryPolicy(2, (1.0, 2.5))),
        (3, lambda n: [n] * n, RetryPolicy(3, (3.0, 3.0, 3.0))),
    ],
)
def test_delays_in_all_their_forms(retries, delay, policy: RetryPolicy) -> None:
    assert retry_policy(retries, delay) == policy


def test_the_last_delay_is_repeated() -> None:
    policy = RetryPolicy(4, (1.0, 2.0))
    assert [policy.delay(count) for count in (1, 2, 3, 4)] == [1.0, 2.0, 2.0, 2.0]
    assert RetryPolicy(1).delay(1) == 0.0


@pytest.mark.parametrize("args", [(-1, None, None), (1, -1, None), (1, [1, -2], None), (1, 1, -1)])
def test_nothing_is_negative(args) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        retry_policy(*args)


def test_jitter_only_adds() -> None:
    drawn = [seconds_of(Sleep(10.0, 0.5)) for _ in range(200)]
    assert all(10.0 <= seconds <= 15.0 for seconds in drawn)
    assert max(drawn) - min(drawn) > 1.0
    assert seconds_of(Sleep(10.0)) == 10.0


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (NEVER, 0.0),
        (RetryPolicy(3), 0.0),
        (RetryPolicy(3, (2.0,)), 6.0),
        (RetryPolicy(3, (1.0, 5.0)), 11.0),
        (RetryPolicy(1, (1.0, 5.0)), 1.0),
        (RetryPolicy(2, (4.0,), 0.5), 12.0),
    ],
)
def test_how_long_all_delays_can_take(policy: RetryPolicy, seconds: float) -> None:
    assert policy.longest() == seconds
