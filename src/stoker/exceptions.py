"""What Stoker raises, in one place, with Prefect 3's names beside its own.

https://docs.prefect.io/v3/api-ref/python/prefect-exceptions

| Prefect's name | is Stoker's |
|---|---|
| `PrefectException` | `StokerError` has its place: the base of all that is raised on purpose |
| `ObjectNotFound` | `NotFound` |
| `ObjectAlreadyExists` | `Conflict`, which is also raised where a state does not allow something |
| `ParameterTypeError`, `ParameterBindError`, `SignatureMismatchError` | `ParameterError` |
| `MissingContextError` | `MissingContext` |
| `UpstreamTaskError` | `UpstreamFailed` |
| `SerializationError` | `Unserialisable` |
| `TerminationSignal` | `RunCancelled`, in the flow that is cancelled; a `BaseException` |

Example:
    ```python
    from stoker.exceptions import ObjectNotFound

    try:
        run_deployment("etl/nightly")
    except ObjectNotFound as error:
        print(error)
    ```
"""

from stoker.domain.errors import (
    Conflict,
    FlowPauseTimeout,
    Forbidden,
    Invalid,
    NotFound,
    StokerError,
    Unauthorized,
    Unavailable,
)
from stoker.engine.context import MissingContext
from stoker.engine.interrupts import RunCancelled, RunTimeout
from stoker.engine.parameters import ParameterError
from stoker.engine.resolve import UpstreamFailed
from stoker.results import Unserialisable
from stoker.states import CancelledRun, CrashedRun, FailedRun, MissingResult, UnfinishedRun

ObjectNotFound = NotFound
ObjectAlreadyExists = Conflict
ParameterTypeError = ParameterBindError = SignatureMismatchError = ParameterError
MissingContextError = MissingContext
UpstreamTaskError = UpstreamFailed
SerializationError = Unserialisable
TerminationSignal = RunCancelled

__all__ = [
    "CancelledRun",
    "Conflict",
    "CrashedRun",
    "FailedRun",
    "FlowPauseTimeout",
    "Forbidden",
    "Invalid",
    "MissingContext",
    "MissingContextError",
    "MissingResult",
    "NotFound",
    "ObjectAlreadyExists",
    "ObjectNotFound",
    "ParameterBindError",
    "ParameterError",
    "ParameterTypeError",
    "RunCancelled",
    "RunTimeout",
    "SerializationError",
    "SignatureMismatchError",
    "StokerError",
    "TerminationSignal",
    "Unauthorized",
    "Unavailable",
    "UnfinishedRun",
    "Unserialisable",
    "UpstreamFailed",
    "UpstreamTaskError",
]
