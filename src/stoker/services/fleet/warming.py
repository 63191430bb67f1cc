"""Which codes the hosts of a lane should have imported."""

from stoker.domain.deployments import Code
from stoker.ports.store import Records

WARM_CODES = 16
"""Zygotes that a host is asked to hold at the most."""


def wanted_codes(records: Records, pool: str, lane: str) -> list[Code]:
    """The codes that a lane's hosts should hold; those that ran last first."""
    codes: dict[str, Code] = {}
    for deployment in records.deployments(pool):
        if deployment.lane == lane and deployment.code is not None:
            codes.setdefault(deployment.code.key, deployment.code)
    return list(codes.values())[:WARM_CODES]
