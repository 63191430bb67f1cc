"""An emulated account on virtual time."""

from collections.abc import Callable
from typing import Any

import pytest

from stoker.testing.ecs import EcsSettings, FakeRunner, Faults, Quantiles, VirtualEcs


class Account(VirtualEcs):
    """With what its tests say of services, too."""

    cold = 10.0  # seconds from RunTask to RUNNING

    def __init__(self, faults: Faults | None = None, **settings: Any) -> None:
        self.fake = FakeRunner()
        settings = {"cold_start": Quantiles.always(self.cold), **settings}
        super().__init__(EcsSettings(**settings), faults, self.fake)

    def service(self, count: int, **changes: Any) -> Any:
        """Create the service ``s`` of ``f``."""
        request = {
            "serviceName": "s",
            "taskDefinition": "f",
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
            "desiredCount": count,
        }
        return self.call("CreateService", request | changes)["service"]

    def services(self) -> Any:
        """The service as it is."""
        [service] = self.call("DescribeServices", {"services": ["s"]})["services"]
        return service


@pytest.fixture
def make_ecs() -> Callable[..., Account]:
    """Makes accounts with a cold start of ten seconds; settings by name."""
    return Account


@pytest.fixture
def ecs(make_ecs: Callable[..., Account]) -> Account:
    """An account as AWS gives it."""
    return make_ecs()
