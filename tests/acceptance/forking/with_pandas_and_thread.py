"""Needs a large library, and is not safe to fork for its own sake."""

import numpy as np
import pandas as pd
import poller

from stoker import flow

assert poller.TICKS is not None


@flow
def with_pandas_and_thread() -> float:
    return float(pd.Series(np.random.random(3)).sum())
