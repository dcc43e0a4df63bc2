"""Student's t interval of a mean: over seeds, over rows, or over differences of either taken pair by pair.

mean +- t_{n-1, (1 + level) / 2} sd / sqrt(n),   sd with n - 1
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

LEVEL = 0.95
ROUNDING = 1e-9
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A mean and the half-width of its interval; the half is NaN for a single value and for an infinite mean, and 0 for
    values that are all equal, which tell nothing of their spread."""

    mean: float
    half: float
    count: int

    @property
    def low(self) -> float:
        """Its lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.mean + self.half

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0; never for one value, nor for equal ones: accuracies move in
        steps of one input, so that two seeds with the same step are no proof."""
        return self.count > 1 and abs(self.mean) > self.half > 0


def t_interval(values: Sequence[float | None] | np.ndarray, level: float = LEVEL) -> Interval:
    """The interval of the mean of values `[n]`.

    A value that is None or not finite (the NLL of a model that excluded a true class) makes the mean infinite; no
    value at all makes it NaN.
    """
    from scipy.special import stdtrit

    found = np.asarray(values, np.float64)
    n = len(found)
    if n == 0 or not np.isfinite(found).all():
        return Interval(math.inf if n else math.nan, math.nan, n)
    mean = float(found.mean())
    if n == 1:
        return Interval(mean, math.nan, 1)
    if np.ptp(found) <= ROUNDING * np.abs(found).max():
        return Interval(mean, 0.0, n)
    quantile = float(stdtrit(n - 1, (1 + level) / 2))
    return Interval(mean, quantile * float(found.std(ddof=1)) / math.sqrt(n), n)


def paired_interval(
    one: Mapping[Key, float | None], other: Mapping[Key, float | None], level: float = LEVEL
) -> Interval | None:
    """The interval of one minus the other on the keys (seeds) of both; None without one, or where a value is infinite.

    What varies with the seed alone cancels, so that a difference can be sure where neither mean is.
    """
    pairs = [(one[key], other[key]) for key in one if key in other]
    if not pairs or any(
        a is None or b is None or not math.isfinite(a) or not math.isfinite(b) for a, b in pairs
    ):
        return None
    return t_interval([a - b for a, b in pairs if a is not None and b is not None], level)


def shown(found: Interval | None, signed: bool = False, decimals: int = 3) -> str:
    """`mean ± half`, `mean` of a single value, `∞`, nothing where there is no value; signed: with the mean's sign."""
    if found is None or math.isnan(found.mean):
        return ""
    if math.isinf(found.mean):
        return "∞"
    mean = f"{found.mean:{'+' if signed else ''}z,.{decimals}f}"
    return mean if math.isnan(found.half) else f"{mean} ± {found.half:,.{decimals}f}"
