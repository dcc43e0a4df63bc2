"""How sure one can be of a share and of a mean score, over the inputs that they were taken of.

The model is held fixed: this is what other test inputs would change, not what another fit would.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.t_interval import LEVEL, t_interval


def wilson_interval(correct: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a share, also of one that is 0 or 1.

    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    correct: `[n]` bool, n >= 1; returns: lower and upper bound, in [0, 1]
    Source: Wilson 1927
    """
    from scipy.stats import binomtest

    hits = np.asarray(correct, dtype=bool)
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def nll_interval(probs: ArrayLike, y: ArrayLike, level: float = LEVEL) -> tuple[float, float] | None:
    """Student's t interval of the mean of -log p(y), cut at 0; None for one input, and where the mean is infinite.

    probs: `[n, K]`; y: `[n]`
    """
    p = np.asarray(probs, dtype=np.float64)
    with np.errstate(divide="ignore"):
        losses = -np.log(p[np.arange(len(p)), np.asarray(y)])
    found = t_interval(losses, level)
    return None if math.isnan(found.half) else (max(0.0, found.low), found.high)
