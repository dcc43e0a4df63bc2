"""Ranking with ties: what a score averages to when inputs of equal rank come in random order."""

import numpy as np
from numpy.typing import ArrayLike


def mean_over_ties(values: ArrayLike, key: ArrayLike) -> np.ndarray:
    """Each value replaced by the mean of the values with the same key.

    Sums over the first k by rank are then the expectation over random orders of the ties.

    values, key: `[n]`
    returns: `[n]` float64
    """
    _, group, size = np.unique(np.asarray(key), return_inverse=True, return_counts=True)
    total = np.bincount(group, weights=np.asarray(values, dtype=np.float64), minlength=len(size))
    return (total / size)[group]
