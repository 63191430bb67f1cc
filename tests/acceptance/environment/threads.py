"""How many threads numpy's linear algebra takes: as a flow, and as a script."""

import os

import numpy as np

from stoker import flow


def count() -> int:
    """Count the process's threads that a multiplication has left."""
    before = len(os.listdir("/proc/self/task"))
    square = np.ones((500, 500))
    assert (square @ square)[0, 0] == 500
    after = len(os.listdir("/proc/self/task"))
    # A fresh process has made them at the import.
    return max(after, before)


@flow
def threads() -> int:
    """See `count`."""
    return count()


if __name__ == "__main__":
    print(count())
