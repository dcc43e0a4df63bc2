"""What draws are worth: effective draws a second, whether chains mixed, whether two samplers agree."""

from dataclasses import dataclass

import numpy as np

from mtbkd.draw_statistics import ess, rhat

# Two samplers agree where so many means are within so many Monte Carlo errors: of 100 means of the same posterior .27
# lie outside on average, and more than three outside once in 5,000 times.
ERRORS, SHARE = 3.0, 0.97

# Izmailov et al. 2021 call a prediction mixed below this R-hat; chains have mixed where at most this share is above.
RHAT_BAD, SHARE_BAD = 1.1, 0.1


@dataclass(frozen=True)
class Effective:
    """Effective draws of the slowest and of the median quantity; R-hat of the worst and of the median one; whether the
    chains mixed: at most a tenth of the quantities with R-hat above 1.1."""

    worst: float
    median: float
    rhat_worst: float
    rhat_median: float
    mixed: bool

    @classmethod
    def of(cls, probs: np.ndarray) -> "Effective":
        """Of draws `[C, S, Q]`; a quantity that never changes is worth nothing."""
        draws, r = np.nan_to_num(ess(probs)), rhat(probs)
        share_bad = float(np.mean(~(r <= RHAT_BAD)))
        return cls(
            float(draws.min()),
            float(np.median(draws)),
            float(np.max(r)),
            float(np.median(r)),
            share_bad <= SHARE_BAD,
        )


@dataclass(frozen=True)
class Agreement:
    """inside, total: means within 3 errors of each other, of how many; worst: largest distance in errors."""

    inside: int
    total: int
    worst: float

    @property
    def holds(self) -> bool:
        """Whether the two may be compared."""
        return self.inside >= SHARE * self.total

    def __str__(self) -> str:
        return f"{self.inside} of {self.total} means within 3 errors (worst {self.worst:.1f})"


def agreement(one: np.ndarray, other: np.ndarray) -> Agreement:
    """Of two samplers' draws `[C, S, Q]`, each with the Monte Carlo error of its own effective draws."""
    means, variances = [], []
    for draws in (one, other):
        means.append(draws.mean((0, 1)))
        variances.append(draws.var((0, 1)) / np.maximum(np.nan_to_num(ess(draws)), 1.0))
    distance = np.abs(means[0] - means[1])
    error = np.sqrt(variances[0] + variances[1])
    z = np.divide(distance, error, out=np.where(distance > 0, np.inf, 0.0), where=error > 0)
    return Agreement(int((z <= ERRORS).sum()), len(z), float(z.max()))
