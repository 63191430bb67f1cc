"""A runner that calls plain functions: what a host needs of one, and no engine."""

import contextlib
import signal
import time

import msgspec

from stoker.domain.reports import Finished, Started
from stoker.domain.states import ResultRecord, StateRecord, StateType

backend = None


class Cancelled(BaseException):
    """Raised in the main thread by SIGTERM."""


def prepare(module):
    module.prepared = True


def rehearse():
    pass


def execute(module, job, its_backend):
    global backend  # noqa: PLW0603
    backend = its_backend

    def cancel(number, frame):
        raise Cancelled

    signal.signal(signal.SIGTERM, cancel)
    backend.report(job.run_id, Started(time.time()))
    try:
        value = getattr(module, job.function)(**job.parameters)
        result = ResultRecord("json", msgspec.json.encode(value))
        return Finished(StateRecord(StateType.COMPLETED, "Completed", time.time()), result)
    except Cancelled:
        return Finished(StateRecord(StateType.CANCELLED, "Cancelled", time.time()))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return Finished(StateRecord(StateType.FAILED, "Failed", time.time(), text))
    finally:
        with contextlib.suppress(Cancelled):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
