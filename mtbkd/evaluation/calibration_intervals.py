"""How sure one can be of calibration errors: bootstrap intervals of all of them, from the same resamples.

Each error is a function of sums over bins, which are all that is resampled: many inputs cost what few do. Of up to
`BLOCKS` inputs each is drawn by itself. More are first put into so many blocks at random and the blocks are drawn: sums
of blocks vary between resamples as sums of inputs do, and so many blocks tell the variance to 3 %.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.evaluation import calibration
from mtbkd.evaluation.calibration import BINS, Binned

BLOCKS = 2000
# Classes whose bins are resampled in one product.
CLASSES = 32

Interval = tuple[float, float]


@dataclass(frozen=True)
class Resamples:
    """R bootstrap resamples of n inputs.

    block: `[n]` of each input; drawn: `[R, G]` how often each block was drawn; sizes: `[R]` inputs drawn
    """

    block: np.ndarray
    drawn: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, n: int, repetitions: int, rng: np.random.Generator) -> "Resamples":
        blocks = min(n, BLOCKS)
        block = rng.permutation(n) % blocks
        picked = rng.integers(blocks, size=(repetitions, blocks)) + blocks * np.arange(repetitions)[:, None]
        drawn = np.bincount(picked.ravel(), minlength=blocks * repetitions).reshape(repetitions, blocks)
        return cls(
            block, drawn.astype(np.float64), drawn @ np.bincount(block, minlength=blocks).astype(float)
        )

    def by_block(self, binned: Binned, weights: np.ndarray | None) -> np.ndarray:
        """`[G, bins]` sums of weights `[n]` (None: 1) over the inputs of each block and bin."""
        blocks = self.drawn.shape[1]
        cell = self.block * binned.bins + binned.bin_of
        sums = np.bincount(cell, weights=weights, minlength=blocks * binned.bins)
        return sums.reshape(blocks, binned.bins).astype(np.float64)

    def gaps(self, binned: Binned) -> np.ndarray:
        """`[R, bins]` resampled sums of gaps."""
        return self.drawn @ self.by_block(binned, binned.gap)


def calibration_intervals(
    probs: ArrayLike,
    y: ArrayLike,
    rng: np.random.Generator,
    mass: float = 0.95,
    repetitions: int = 1000,
    bins: int = BINS,
) -> dict[str, Interval]:
    """Basic bootstrap interval of each calibration error: 2 error - quantiles of resampled errors, cut to [0, 1].

    The absolute values make resampled errors larger than the error, so that their own quantiles would exclude a
    calibrated student; reflecting them takes the inflation off (all of it and more where the error is near 0: the
    interval may then end below the error itself). Bins of equal numbers stay where they are in the data.

    probs: `[n, K]`; y: `[n]`
    returns: lower and upper bound of ece, ece_adaptive, ece_classwise, mce
    Source: Davison and Hinkley 1997, eq. 5.6.
    """
    p = np.asarray(probs)
    resamples = Resamples.of(len(p), repetitions, rng)
    top = calibration.top_label_bins(p, y, bins)
    found = {
        "ece": (calibration.ece(p, y, bins), _expected(resamples, top)),
        "ece_adaptive": (
            calibration.ece_adaptive(p, y, bins),
            _expected(resamples, calibration.adaptive_bins(p, y, bins)),
        ),
        "ece_classwise": (calibration.ece_classwise(p, y, bins), _classwise(resamples, p, y, bins)),
        "mce": (calibration.mce(p, y, bins), _largest(resamples, top)),
    }
    return {name: _reflected(error, resampled, mass) for name, (error, resampled) in found.items()}


def _reflected(error: float, resampled: np.ndarray, mass: float) -> Interval:
    low, high = np.quantile(resampled, [(1 - mass) / 2, (1 + mass) / 2])
    below, above = np.clip([2 * error - high, 2 * error - low], 0, 1)
    return float(below), float(above)


def _expected(resamples: Resamples, binned: Binned) -> np.ndarray:
    return np.abs(resamples.gaps(binned)).sum(1) / resamples.sizes


def _classwise(resamples: Resamples, probs: np.ndarray, y: ArrayLike, bins: int) -> np.ndarray:
    total, k = np.zeros(len(resamples.sizes)), probs.shape[1]
    for start in range(0, k, CLASSES):
        each = (calibration.class_bins(probs, y, one, bins) for one in range(start, min(start + CLASSES, k)))
        sums = np.concatenate([resamples.by_block(binned, binned.gap) for binned in each], axis=1)
        total += np.abs(resamples.drawn @ sums[:, sums.any(0)]).sum(1)  # most bins of rare classes are empty
    return total / (k * resamples.sizes)


def _largest(resamples: Resamples, binned: Binned) -> np.ndarray:
    counts = resamples.drawn @ resamples.by_block(binned, None)
    gaps = np.abs(resamples.gaps(binned))
    return np.divide(gaps, counts, out=np.zeros_like(gaps), where=counts > 0).max(1)
