"""The same flows, in a file that is not safe to fork: it starts a thread."""

import threading

import flows

from stoker import flow

threading.Thread(target=threading.Event().wait, daemon=True).start()


@flow
def clock_unsafe() -> int:
    """See `flows.clock`."""
    return flows.clock.fn()


@flow
def nothing_unsafe() -> None:
    """Do nothing."""
