"""Whether credible intervals hold the truth as often as they say."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.prediction import Prediction

MASSES = (0.5, 0.8, 0.95)


def coverage(probs: Tensor, truth: Tensor, masses: Sequence[float] = MASSES) -> dict[float, float]:
    """Share of (i, k) whose true probability lies in the central credible interval of each mass.

    probs: `[S, N, K]` posterior draws; truth: `[N, K]`
    Intervals are of interpolated quantiles of the draws: of S draws and a truth that is exchangeable with them the
    expected share is mass (S - 1) / (S + 1). Raises `InputError` for shapes that do not fit.
    """
    if probs.dim() != 3 or probs.shape[1:] != truth.shape:
        raise InputError(
            f"coverage: draws of shape {list(probs.shape)} and truth {list(truth.shape)}; give [S, N, K] and [N, K]"
        )
    prediction = Prediction(probs.double())
    found = {}
    for mass in masses:
        lower, upper = prediction.interval(mass)
        inside = (lower <= truth) & (truth <= upper)
        found[mass] = float(torch.mean(inside.double()))
    return found
