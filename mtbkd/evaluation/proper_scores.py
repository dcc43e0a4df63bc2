"""Proper scores of class probabilities, and what the Brier score is made of.

Throughout `probs` is `[n, K]`, rows summing to 1 (the mean over draws), and `y` is `[n]` class indices.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.evaluation.calibration import BINS, class_bins


@dataclass(frozen=True)
class BrierParts:
    """brier = reliability - resolution + uncertainty + within_bins, each summed over classes.

    reliability: how far claims are from what comes true where they are made; 0 is perfect
    resolution: how far apart inputs with different claims turn out to be; larger is better
    uncertainty: 1 - sum_k (share of class k)^2, the Brier score of always claiming the shares; of the data alone
    within_bins: what is left over as claims differ within a bin, small and of either sign
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float


def nll(probs: ArrayLike, y: ArrayLike) -> float:
    """Negative log-likelihood in nats per input, -mean log p(y); infinite if a true class was given 0."""
    p = np.asarray(probs, dtype=np.float64)
    true = p[np.arange(len(p)), np.asarray(y)]
    return math.inf if (true == 0).any() else float(-np.log(true).mean())


def brier(probs: ArrayLike, y: ArrayLike) -> float:
    """Brier score in [0, 2]: mean over inputs of sum_k (p_k - 1[y = k])^2, not halved."""
    p = np.asarray(probs, dtype=np.float64)
    # sum_k p_k^2 - 2 p_y + 1: without a second array of the size of p
    true = p[np.arange(len(p)), np.asarray(y)]
    return float((np.einsum("nk,nk->n", p, p) - 2 * true + 1).mean())


def sharpness(probs: ArrayLike) -> float:
    """How concentrated the predictions are, whatever is true: mean over inputs of sum_k p_k^2, from 1/K to 1.

    1 - sharpness is the Brier score that the predictions claim for themselves, and have if they are calibrated. A name
    for what Gneiting, Balabdaoui and Raftery 2007 ask to maximise subject to calibration; this measure of it is the
    negative of the Gini index.
    """
    p = np.asarray(probs, dtype=np.float64)
    return float(np.einsum("nk,nk->", p, p) / len(p))


def brier_decomposition(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> BrierParts:
    """The Brier score as reliability - resolution + uncertainty, class by class in equal-width bins of p_k.

        reliability = sum_k sum_b n_kb/n (p_kb - o_kb)^2,    resolution = sum_k sum_b n_kb/n (o_kb - o_k)^2

    p_kb and o_kb: means of p_k and of 1[y = k] over the n_kb inputs whose p_k is in bin b; o_k: over all. It is exact
    where all p_k in a bin are equal; otherwise `within_bins` is what remains: the variance of p_k in bins less twice
    its covariance with 1[y = k]. Chance in bins of few inputs makes reliability and resolution both too large, by about
    the same.

    Source: Murphy 1973 for two classes, here summed over one class against the rest; Stephenson, Coelho and Jolliffe
    2008 for the remainder.
    """
    p, truth = np.asarray(probs, dtype=np.float64), np.asarray(y)
    n, k = p.shape
    reliability = resolution = 0.0
    shares = np.bincount(truth, minlength=k) / n
    for one in range(k):
        binned = class_bins(p, truth, one, bins)
        count = np.bincount(binned.bin_of, minlength=bins)
        filled = count > 0
        count = count[filled]
        gap = np.bincount(binned.bin_of, weights=binned.gap, minlength=bins)[filled] / count
        true = np.bincount(binned.bin_of, weights=truth == one, minlength=bins)[filled] / count
        reliability += float((count * gap**2).sum() / n)
        resolution += float((count * (true - shares[one]) ** 2).sum() / n)
    uncertainty = float(1 - (shares**2).sum())
    rest = brier(p, truth) - (reliability - resolution + uncertainty)
    return BrierParts(reliability, resolution, uncertainty, rest)
