"""Are the probabilities honest? Proper scores, calibration errors and how sure one can be of them.

Throughout `probs` is `[n, K]`, rows summing to 1 (the mean over draws), and `y` is `[n]` class indices.
Confidence is the largest probability, a hit is a correct label; bins are (low, high].
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.evaluation.ties import mean_over_ties

BINS = 15
# Elements simulated at a time: tens of megabytes, whatever the number of inputs.
CHUNK_ELEMENTS = 2_000_000


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


def nll(probs: ArrayLike, y: ArrayLike) -> float:
    """Negative log-likelihood in nats per input, -mean log p(y); infinite if a true class was given 0."""
    p = np.asarray(probs, dtype=np.float64)
    true = p[np.arange(len(p)), np.asarray(y)]
    return math.inf if (true == 0).any() else float(-np.log(true).mean())


def brier(probs: ArrayLike, y: ArrayLike) -> float:
    """Brier score in [0, 2]: mean over inputs of sum_k (p_k - 1[y = k])^2, not halved."""
    p = np.asarray(probs, dtype=np.float64)
    return float(((p - np.eye(p.shape[1])[np.asarray(y)]) ** 2).sum(1).mean())


def ece(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error of the top label: sum_b n_b/n |accuracy_b - confidence_b|.

    bins: number of equal-width bins of confidence on [0, 1]
    Source: Guo, Pleiss, Sun and Weinberger 2017, eq. 3.
    """
    confidence, hit = _top_label(probs, y)
    gaps = np.bincount(_bin(confidence, bins), weights=hit - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(hit))


def ece_adaptive(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Calibration error of the top label over bins of (nearly) equal numbers of inputs; ties averaged.

    Source: Nixon et al. 2019, adaptive calibration error, of the top label.
    """
    confidence, hit = _top_label(probs, y)
    gap = mean_over_ties(hit, confidence) - confidence
    parts = np.array_split(gap[np.argsort(confidence, kind="stable")], min(bins, len(gap)))
    return float(sum(abs(part.sum()) for part in parts) / len(gap))


def ece_classwise(probs: ArrayLike, y: ArrayLike, bins: int = BINS) -> float:
    """Mean over classes of the calibration error of p_k against 1[y = k], equal-width bins.

    Source: Kull et al. 2019, eq. 3 (classwise-ECE); Nixon et al. 2019 (static calibration error).
    """
    p = np.asarray(probs, dtype=np.float64)
    n, k = p.shape
    gap = np.eye(k)[np.asarray(y)] - p
    cell = _bin(p, bins) + bins * np.arange(k)
    sums = np.bincount(cell.ravel(), weights=gap.ravel(), minlength=bins * k)
    return float(np.abs(sums).sum() / (n * k))


def ece_interval(
    probs: ArrayLike,
    y: ArrayLike,
    rng: np.random.Generator,
    mass: float = 0.95,
    repetitions: int = 1000,
    bins: int = BINS,
) -> tuple[float, float]:
    """Basic bootstrap interval of the ECE: 2 ECE - quantiles of resampled ECE, cut at 0.

    The absolute values make resampled ECE larger than ECE, so that its own quantiles would exclude a
    calibrated student; reflecting them takes the inflation off (all of it and more where ECE is near 0:
    the interval may then end below the ECE itself).

    returns: lower and upper bound
    Source: Davison and Hinkley 1997, eq. 5.6.
    """
    confidence, hit = _top_label(probs, y)
    gap, bin_of, n = hit - confidence, _bin(confidence, bins), len(hit)
    resampled = []
    for count in _chunks(repetitions, n):
        rows = rng.integers(n, size=(count, n))
        cell = bin_of[rows] + bins * np.arange(count)[:, None]
        sums = np.bincount(cell.ravel(), weights=gap[rows].ravel(), minlength=bins * count)
        resampled.append(np.abs(sums).reshape(count, bins).sum(1) / n)
    low, high = np.quantile(np.concatenate(resampled), [(1 - mass) / 2, (1 + mass) / 2])
    point = float(np.abs(np.bincount(bin_of, weights=gap, minlength=bins)).sum() / n)
    return max(0.0, 2 * point - float(high)), max(0.0, 2 * point - float(low))


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
    bin_of = _bin(confidence, bins)
    claimed = np.bincount(bin_of, weights=confidence, minlength=bins)
    hits = _calibrated_hits(confidence, bin_of, bins, repetitions, rng)
    simulated = np.abs(hits - claimed).sum(1) / len(confidence)
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
    hits = _calibrated_hits(confidence, bin_of, bins, repetitions, rng)
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


def _chunks(repetitions: int, n: int) -> list[int]:
    size = max(1, CHUNK_ELEMENTS // n)
    return [min(size, repetitions - start) for start in range(0, repetitions, size)]


def _calibrated_hits(
    confidence: np.ndarray, bin_of: np.ndarray, bins: int, repetitions: int, rng: np.random.Generator
) -> np.ndarray:
    # A label drawn from p hits the top class with probability max p: the other classes need no drawing.
    member = np.eye(bins)[bin_of]
    parts = [(rng.random((c, len(bin_of))) < confidence) @ member for c in _chunks(repetitions, len(bin_of))]
    return np.concatenate(parts)
