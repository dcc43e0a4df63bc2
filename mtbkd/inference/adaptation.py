"""What samplers adapt while warming up: the step, the mass, the jitter of trajectories."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DualAveraging:
    """Step size by Nesterov's dual averaging (Hoffman and Gelman 2014, section 3.2).

    Constants are Stan's but for two: the search is drawn towards the first step itself and not ten times it, and its
    gain is a quarter. The harmonic mean over chains falls more steeply with the step than one chain's acceptance: with
    Stan's the last step is too small by up to half after the short windows used here (tests/inference/test_hmc.py).

    initial: the first step, accepted about half the time; target: acceptance to reach
    """

    initial: float
    target: float
    count: int = 0
    error: float = 0.0
    log_step: float | None = None
    log_average: float = 0.0

    @property
    def step(self) -> float:
        """The step to use next while adapting."""
        return self.initial if self.log_step is None else math.exp(self.log_step)

    @property
    def average(self) -> float:
        """The averaged step to keep."""
        return self.initial if self.log_step is None else math.exp(self.log_average)

    def update(self, accept: float) -> "DualAveraging":
        """After an iteration with this acceptance probability."""
        count = self.count + 1
        share = 1 / (count + 10)
        error = (1 - share) * self.error + share * (self.target - accept)
        log_step = math.log(self.initial) - math.sqrt(count) / 0.2 * error
        weight = count**-0.75
        log_average = weight * log_step + (1 - weight) * self.log_average
        return DualAveraging(self.initial, self.target, count, error, log_step, log_average)


def harmonic_mean(accept: Tensor) -> float:
    """Over chains, floored so that a rejected chain counts but does not stop everything."""
    return float(1.0 / (1.0 / accept.clamp(min=1e-3)).mean())


@dataclass(frozen=True)
class Moments:
    """Running mean and squared deviations of each chain by Welford: `mean`, `squares` `[C, D]`."""

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def start(cls, like: Tensor) -> "Moments":
        return cls(0, torch.zeros_like(like), torch.zeros_like(like))

    def update(self, theta: Tensor) -> "Moments":
        count = self.count + 1
        delta = theta - self.mean
        mean = self.mean + delta / count
        return Moments(count, mean, self.squares + delta * (theta - mean))

    def forget(self) -> "Moments":
        """The same mean and variance as of half as many draws, so that later ones weigh more."""
        count = self.count // 2
        return Moments(count, self.mean, self.squares * (count / max(self.count, 1)))

    def variance(self) -> Tensor:
        """Variance within chains, averaged over them, `[D]`."""
        return self.squares.mean(0) / max(self.count - 1, 1)


def fisher_scale(theta: Moments, grad: Moments, previous: Tensor) -> Tensor:
    """Standard deviations `[D]` from where the chains were and their gradients there: (var theta / var grad)^(1/4).

    Exact from two draws on where coordinates are independent normals, as then grad = -(theta - mean) / sd^2; the
    variance of the draws alone would need hundreds (Seyboldt, Carlson and Carpenter 2024, Fisher HMC). Variances are
    within chains; `previous` stays where nothing moved.
    """
    spread, force = theta.variance(), grad.variance()
    return torch.where((spread > 0) & (force > 0), (spread / force) ** 0.25, previous)


@dataclass(frozen=True)
class Windows:
    """Iterations at which the mass is estimated (`first` to `last`) and renewed (`ends`)."""

    first: int
    last: int
    ends: frozenset[int]


def mass_windows(warmup: int) -> Windows:
    """Stan's plan, for chains that start at a MAP: 5 % to leave it (Stan: 15), windows that double, 15 % for the last
    step size (Stan: less, of a thousand iterations)."""
    first, last = math.ceil(0.05 * warmup), warmup - math.ceil(max(5.0, 0.15 * warmup))
    ends, size, begin = [], max(5, warmup // 20), first
    while begin < last:
        end = last if begin + 3 * size > last else begin + size
        ends.append(end)
        begin, size = end, 2 * size
    return Windows(first, last, frozenset(ends))


def halton(index: int) -> float:
    """Number `index` of the base-2 Halton sequence, in (0, 1)."""
    index, value, share = index + 1, 0.0, 0.5
    while index:
        value += share * (index & 1)
        index >>= 1
        share /= 2
    return value
