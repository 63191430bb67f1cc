"""Concurrency limits of deployments, as flows describe them."""

import pytest

from stoker import flow
from stoker.deployments import CollisionStrategy, ConcurrencyLimitConfig
from stoker.domain.errors import Invalid


@flow
def limited() -> None:
    """Do nothing."""


def test_a_deployment_takes_a_number_or_a_config():
    assert limited.to_deployment("a").concurrency_limit is None
    found = limited.to_deployment("a", concurrency_limit=2)
    assert (found.concurrency_limit, found.collision_strategy) == (2, CollisionStrategy.ENQUEUE)
    config = ConcurrencyLimitConfig(limit=1, collision_strategy="CANCEL_NEW")
    found = limited.to_deployment("a", concurrency_limit=config)
    assert (found.concurrency_limit, found.collision_strategy) == (1, CollisionStrategy.CANCEL_NEW)


@pytest.mark.parametrize(
    ("given", "problem"),
    [(-1, "0 or more"), (ConcurrencyLimitConfig(1, "WAIT"), "there is: ENQUEUE, CANCEL_NEW")],
)
def test_impossible_limits_are_refused(given, problem):
    with pytest.raises(Invalid, match=problem):
        limited.to_deployment("a", concurrency_limit=given)
