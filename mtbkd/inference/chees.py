"""The length of trajectories by the ChEES criterion (Hoffman, Radul and Sountsov 2021, AISTATS, section 3).

    C(T) = 1/4 E[(|z' - c|^2 - |z - c|^2)^2],   z' the end of a trajectory of time t = h T from z, h its jitter
    dC / d log T = t E[(|z' - c|^2 - |z - c|^2) (z' - c)'v'],   the mean over chains weighted by their acceptance

A trajectory that is too short changes the distance from the centre little, one that turns back as little again. The
criterion is climbed by Adam on log T. z is theta in units of its scale. The centre c is each chain's own: of chains in
separate modes the pooled one lies where no chain is, all squared distances are then dominated by the way there, and the
best length for that is a half turn, pi, whatever the posterior.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

RATE, DECAY = 0.025, 0.95  # Adam's, the paper's; its first moment is not averaged
SHORTEST = 0.5  # standard deviations: below it a trajectory is a random walk's step, whatever the noise says


@dataclass(frozen=True)
class Trajectory:
    """log T, its average over the updates (later ones weigh more), and Adam's second moment; count: updates."""

    log_length: float
    log_average: float
    square: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, length: float) -> "Trajectory":
        """Before any update."""
        return cls(math.log(length), math.log(length))

    @property
    def length(self) -> float:
        """T to use next while adapting."""
        return math.exp(self.log_length)

    @property
    def average(self) -> float:
        """T to keep."""
        return math.exp(self.log_average)

    def update(self, gradient: float, longest: float) -> "Trajectory":
        """After an iteration with this gradient of the criterion in log T; T does not rise above `longest`. It is not
        pulled down to it either: a step that is small for a moment would undo what takes a hundred iterations."""
        if not math.isfinite(gradient):
            return self
        count = self.count + 1
        square = DECAY * self.square + (1 - DECAY) * gradient**2
        size = math.sqrt(square / (1 - DECAY**count))
        log_length = self.log_length + (RATE * gradient / size if size > 0 else 0.0)
        log_length = min(log_length, max(math.log(longest), self.log_length))
        log_length = max(log_length, math.log(SHORTEST))
        weight = count**-0.5
        log_average = weight * log_length + (1 - weight) * self.log_average
        return Trajectory(log_length, log_average, square, count)


def criterion_gradient(
    start: Tensor, end: Tensor, velocity: Tensor, centre: Tensor, accept: Tensor, time: float
) -> float:
    """dC / d log T of one iteration.

    start, end, velocity (at the end), centre: `[C, D]` in units of the scale; accept: `[C]`; time: of the trajectory
    """
    before, after = (start - centre).double(), (end - centre).double()
    change = after.square().sum(-1) - before.square().sum(-1)
    gradient = change * (after * velocity.double()).sum(-1)
    counts = torch.isfinite(gradient) & (accept > 0)
    weight = torch.where(counts, accept.double(), 0.0)
    total = (weight * torch.where(counts, gradient, 0.0)).sum() / weight.sum().clamp(min=1e-12)
    return time * float(total)
