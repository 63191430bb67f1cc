"""ECS for tests: an emulator that boto3 talks to and that really runs what it is told to.

`EcsEmulator` is served on loopback and runs containers as processes. `Ecs` is the same account
without sockets and processes, on any clock. The guide is ``docs/guides/testing-ecs.md``.
"""

from stoker.testing.ecs.calls import Call, Calls
from stoker.testing.ecs.emulator import EcsEmulator
from stoker.testing.ecs.errors import AnswerLost, AwsError
from stoker.testing.ecs.faults import FAULTS, Fault, Faults
from stoker.testing.ecs.local_client import LocalClient
from stoker.testing.ecs.model.ecs import Ecs
from stoker.testing.ecs.model.world import EcsSettings, Instance
from stoker.testing.ecs.processes import ProcessRunner
from stoker.testing.ecs.quantiles import FARGATE, Quantiles
from stoker.testing.ecs.runners import CannotStart, Container, FakeRunner, Runner
from stoker.testing.ecs.virtual import NETWORK, VirtualEcs

__all__ = [
    "FARGATE",
    "FAULTS",
    "NETWORK",
    "AnswerLost",
    "AwsError",
    "Call",
    "Calls",
    "CannotStart",
    "Container",
    "Ecs",
    "EcsEmulator",
    "EcsSettings",
    "FakeRunner",
    "Fault",
    "Faults",
    "Instance",
    "LocalClient",
    "ProcessRunner",
    "Quantiles",
    "Runner",
    "VirtualEcs",
]
