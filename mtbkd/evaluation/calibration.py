"""Are the probabilities honest? Calibration errors, and what they are for a perfectly calibrated student.

Throughout `probs` is `[n, K]`, rows summing to 1 (the mean over draws), and `y` is `[n]` class indices.
Confidence is the largest probability, a hit is a correct label; bins are (low, high].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

BINS = 15
# Cells a bin into which confidences are sorted before labels are simulated: all of a cell count as equally sure. A
# claim moves by less than 1e-3, the variance of simulated hits by less than a thousandth.
CELLS = 64


@dataclass(frozen=True)
class Binned:
    """Claims in bins: bin_of `[n]`; gap `[n]`, what came true (0 or 1) less what was claimed; bins: their number."""

    bin_of: np.ndarray
    gap: np.ndarray
    bins: int

    @property
    def sums(self) -> np.ndarray:
        """Sum of gaps in each bin, `[bins]`."""
        return np.bincount(self.bin_of, weights=self.gap, minlength=self.bins)

    @property
    def counts(self) -> np.ndarray:
        """Inputs in each bin, `[bins]`."""
        return np.bincount(self.bin_of, minlength=self.bins)


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: per bin of confidence, what was claimed and what came true.

    edges `[B + 1]`; count `[B]`; confidence, accuracy, low, high `[B]`, NaN in empty bins.
    low, high: central 95 % of a bin's accuracy if the probabilities were perfectly calibrated.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray


# ---- claims in bins ------------------------------------------------------------------------------------------------
def top_label_bins(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> Binned:
    """Confidences in bins of equal width on [0, 1]."""
    confidence, hit = _top_label(probs, y)
    return Binned(_bin(confidence, bins), hit - confidence, bins)


def adaptive_bins(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> Binned:
    """Confidences in bins of equal numbers of inputs, as nearly as can be; equal confidences share a bin."""
    confidence, hit = _top_label(probs, y)
    n, used = len(hit), min(bins, len(hit))
    ordered = np.sort(confidence)
    bin_of_rank = np.repeat(np.arange(used), [len(part) for part in np.array_split(ordered, used)])
    return Binned(bin_of_rank[np.searchsorted(ordered, confidence)], hit - confidence, min(bins, n))


def class_bins(probs: ArrayLike, y: ArrayLike, k: int, bins: int = BINS) -> Binned:
    """Probabilities of class k in bins of equal width, against whether it was k."""
    claimed = np.asarray(probs)[:, k].astype(np.float64)
    return Binned(_bin(claimed, bins), (np.asarray(y) == k) - claimed, bins)


# ---- calibration errors --------------------------------------------------------------------------------------------
def ece(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error of the top label: sum_b n_b/n |accuracy_b - confidence_b|.

    bins: number of equal-width bins of confidence on [0, 1]
    Source: Guo, Pleiss, Sun and Weinberger 2017, eq. 3.
    """
    return _expected(top_label_bins(probs, y, bins))


def ece_adaptive(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Calibration error of the top label over bins of (nearly) equal numbers of inputs; ties share a bin.

    Source: Nixon et al. 2019, adaptive calibration error, of the top label.
    """
    return _expected(adaptive_bins(probs, y, bins))


def ece_classwise(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Mean over classes of the calibration error of p_k against 1[y = k], equal-width bins.

    Source: Kull et al. 2019, eq. 3 (classwise-ECE); Nixon et al. 2019 (static calibration error).
    """
    return float(np.mean(ece_of_classes(probs, y, bins)))


def ece_of_classes(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> np.ndarray:
    """Calibration error of each class's p_k against 1[y = k], `[K]`, equal-width bins."""
    p = np.asarray(probs)
    return np.array([_expected(class_bins(p, y, k, bins)) for k in range(p.shape[1])])


def mce(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Maximum calibration error of the top label: max_b |accuracy_b - confidence_b| over bins that are not empty.

    A bin of few inputs may make all of it: read it with its interval.
    Source: Guo, Pleiss, Sun and Weinberger 2017, eq. 5.
    """
    binned = top_label_bins(probs, y, bins)
    filled = binned.counts > 0
    return float(np.abs(binned.sums[filled] / binned.counts[filled]).max())


# ---- under perfect calibration -------------------------------------------------------------------------------------
def ece_band(
    probs: ArrayLike,
    rng: np.random.Generator,
    mass: float = 0.95,
    repetitions: int = 1000,
    bins: int = BINS,
) -> tuple[float, float]:
    """Central band of the ECE if the probabilities were perfectly calibrated: labels drawn from them.

    returns: lower and upper bound; an ECE above the upper one is miscalibration that chance does not explain
    Source: Bröcker and Smith 2007 (consistency resampling).
    """
    confidence = np.asarray(probs, dtype=np.float64).max(1)
    claimed = np.bincount(_bin(confidence, bins), weights=confidence, minlength=bins)
    simulated = np.abs(_calibrated_hits(confidence, bins, repetitions, rng) - claimed).sum(1) / len(
        confidence
    )
    low, high = np.quantile(simulated, [(1 - mass) / 2, (1 + mass) / 2])
    return float(low), float(high)


def reliability(
    probs: ArrayLike,
    y: ArrayLike,
    rng: np.random.Generator,
    mass: float = 0.95,
    repetitions: int = 1000,
    bins: int = BINS,
) -> Reliability:
    """The reliability diagram of the top label, with its band under perfect calibration."""
    confidence, hit = _top_label(probs, y)
    bin_of = _bin(confidence, bins)
    count = np.bincount(bin_of, minlength=bins)
    size = np.where(count > 0, count, np.nan)
    hits = _calibrated_hits(confidence, bins, repetitions, rng)
    low, high = np.quantile(hits, [(1 - mass) / 2, (1 + mass) / 2], axis=0)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        count=count,
        confidence=np.bincount(bin_of, weights=confidence, minlength=bins) / size,
        accuracy=np.bincount(bin_of, weights=hit, minlength=bins) / size,
        low=low / size,
        high=high / size,
    )


def _top_label(probs: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(probs, dtype=np.float64)
    return p.max(1), (p.argmax(1) == np.asarray(y)).astype(np.float64)


def _bin(p: np.ndarray, bins: int) -> np.ndarray:
    return np.clip(np.ceil(p * bins).astype(np.int64) - 1, 0, bins - 1)


def _expected(binned: Binned) -> float:
    return float(np.abs(binned.sums).sum() / len(binned.gap))


def _calibrated_hits(
    confidence: np.ndarray, bins: int, repetitions: int, rng: np.random.Generator
) -> np.ndarray:
    # [repetitions, bins]. A label drawn from p hits the top class with probability max p: the other classes need no
    # drawing. The inputs of a cell, equally sure but for 1e-3, hit as often as one binomial says.
    cells, cell_of, size = np.unique(_bin(confidence, bins * CELLS), return_inverse=True, return_counts=True)
    chance = np.clip(np.bincount(cell_of, weights=confidence) / size, 0, 1)
    hits = rng.binomial(size[:, None], chance[:, None], size=(len(cells), repetitions))
    member = np.eye(bins)[cells // CELLS]
    return hits.T @ member
