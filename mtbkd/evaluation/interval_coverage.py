"""Do credible intervals hold the true probabilities as often as they say? Where the truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.prediction import Prediction

MASSES = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class IntervalCoverage:
    """Of the central credible intervals of one mass, over inputs and classes (i, k).

    mass: posterior probability that an interval holds; coverage: share of true probabilities that lie in theirs;
    width: mean of upper less lower bound
    """

    mass: float
    coverage: float
    width: float


def interval_coverage(
    predicted: Prediction | Tensor, truth: Tensor, masses: Sequence[float] = MASSES
) -> list[IntervalCoverage]:
    """Coverage and width of the credible interval of each mass.

    predicted: draws `[S, N, K]`; truth: `[N, K]` true class probabilities
    Intervals are of interpolated quantiles of the draws: of S draws and a truth that is exchangeable with them the
    expected coverage is mass (S - 1) / (S + 1). Errors at the inputs of one data set depend on each other: repeat over
    data sets, and take the error over those.
    raises: InputError for shapes that do not fit, no input, and a mass outside (0, 1)
    """
    probs = (predicted.probs if isinstance(predicted, Prediction) else predicted).detach()
    if probs.dim() != 3 or probs.shape[1:] != truth.shape or not truth.numel():
        raise InputError(
            f"interval coverage: draws of shape {list(probs.shape)} and truth {list(truth.shape)}; give [S, N, K] and "
            "[N, K] with N >= 1"
        )
    prediction, true = Prediction(probs.double()), truth.to(probs.device, torch.float64)
    found = []
    for mass in masses:
        lower, upper = prediction.interval(mass)
        inside = ((lower <= true) & (true <= upper)).double().mean()
        found.append(IntervalCoverage(mass, float(inside), float((upper - lower).mean())))
    return found
