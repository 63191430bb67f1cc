"""Fits a model with OpenMP's threads in the run."""

import numpy as np
from sklearn.cluster import KMeans

from stoker import flow


@flow
def with_sklearn() -> int:
    points = np.random.default_rng(1).random((2000, 4))
    return len(set(KMeans(n_clusters=3, random_state=1).fit_predict(points)))
