"""Retries after crashes of deployments, as flows describe them."""

from datetime import timedelta
from math import inf

import pytest

from stoker import flow
from stoker.domain.errors import Invalid


@flow
def fragile() -> None:
    """Do nothing."""


def test_a_deployment_says_how_often_and_when_a_crashed_run_begins_again():
    found = fragile.to_deployment("a")
    assert (found.crash_retries, found.crash_retry_delay) == (0, 0.0)
    found = fragile.to_deployment("a", crash_retries=3, crash_retry_delay=2)
    assert (found.crash_retries, found.crash_retry_delay) == (3, 2.0)
    found = fragile.to_deployment("a", crash_retries=1, crash_retry_delay=timedelta(minutes=2))
    assert found.crash_retry_delay == 120.0


@pytest.mark.parametrize(("retries", "delay"), [(-1, 0.0), (1, -0.5), (1, inf)])
def test_impossible_numbers_are_refused(retries: int, delay: float):
    with pytest.raises(Invalid, match="crash_retries and crash_retry_delay are 0 or more"):
        fragile.to_deployment("a", crash_retries=retries, crash_retry_delay=delay)
