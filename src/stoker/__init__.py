"""Stoker: workflow orchestration whose runs start on a warm slot, and are still isolated.

Names are loaded at their first use, so that ``import stoker`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stoker.deployments import arun_deployment, deploy, run_deployment
    from stoker.engine.tagging import tags
    from stoker.flow_runs import (
        apause_flow_run,
        aresume_flow_run,
        asuspend_flow_run,
        pause_flow_run,
        resume_flow_run,
        suspend_flow_run,
    )
    from stoker.flows import Flow, flow
    from stoker.futures import allow_failure, unmapped
    from stoker.logging import get_run_logger
    from stoker.serving import aserve, serve
    from stoker.states import State
    from stoker.tasks import Task, task

__version__ = "0.1.0"

__all__ = [
    "Flow",
    "State",
    "Task",
    "__version__",
    "allow_failure",
    "apause_flow_run",
    "aresume_flow_run",
    "arun_deployment",
    "aserve",
    "asuspend_flow_run",
    "deploy",
    "flow",
    "get_run_logger",
    "pause_flow_run",
    "resume_flow_run",
    "run_deployment",
    "serve",
    "suspend_flow_run",
    "tags",
    "task",
    "unmapped",
]

_HOMES = {
    "Flow": "flows",
    "State": "states",
    "Task": "tasks",
    "allow_failure": "futures",
    "apause_flow_run": "flow_runs",
    "aresume_flow_run": "flow_runs",
    "arun_deployment": "deployments",
    "aserve": "serving",
    "asuspend_flow_run": "flow_runs",
    "deploy": "deployments",
    "flow": "flows",
    "get_run_logger": "logging",
    "pause_flow_run": "flow_runs",
    "resume_flow_run": "flow_runs",
    "run_deployment": "deployments",
    "serve": "serving",
    "suspend_flow_run": "flow_runs",
    "tags": "engine.tagging",
    "task": "tasks",
    "unmapped": "futures",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stoker' has no attribute {name!r}")
    value = getattr(import_module(f"stoker.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
