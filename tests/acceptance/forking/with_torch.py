"""Multiplies in the run."""

from importlib import import_module
from typing import Any

from stoker import flow

torch: Any = import_module("torch")


@flow
def with_torch() -> float:
    return float((torch.ones(50, 50) @ torch.ones(50, 50)).sum())
