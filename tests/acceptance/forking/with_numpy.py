"""Uses BLAS while it is imported, and in a run: OpenBLAS ends its threads before a fork."""

import numpy as np

from stoker import flow

MATRIX = np.random.default_rng(1).random((300, 300))
SQUARE = MATRIX @ MATRIX


@flow
def with_numpy() -> bool:
    return bool(np.allclose(MATRIX @ MATRIX, SQUARE))
