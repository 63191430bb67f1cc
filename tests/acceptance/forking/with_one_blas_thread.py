"""Sets what numpy reads at its import: numpy must not be imported before."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import poller
from threadpoolctl import threadpool_info

from stoker import flow

assert poller.TICKS is not None


@flow
def with_one_blas_thread() -> list[int]:
    assert (np.ones((300, 300)) @ np.ones((300, 300))).sum() > 0
    pools = threadpool_info()
    return [pool["num_threads"] for pool in pools if pool["internal_api"] == "openblas"]
