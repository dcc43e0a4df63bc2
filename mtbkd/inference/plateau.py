"""When a noisy objective has stopped rising: the rule by which a learning rate falls, and by which a run ends.

Two successive windows of steps at one learning rate are compared. Where the second's mean is not above the first's by
more than the standard error of their difference, the rate is at its plateau, and falls to a third; a run ends at the
plateau of its last rate. A rise too small to be seen in the noise of one rate is looked for again at the next, with
less noise. The trace alone decides, so that the same run, killed or not, ends at the same step.
"""

import math
from dataclasses import dataclass

from torch import Tensor

LEVELS = 4  # rates: 1, 1/3, 1/9, 1/27 of the first
FALL = 1 / 3


@dataclass(frozen=True)
class Plateau:
    """level: how often the rate has fallen; since: the step at which it last did."""

    level: int = 0
    since: int = 0

    @property
    def finished(self) -> bool:
        """Whether the last rate's plateau was reached."""
        return self.level == LEVELS

    @property
    def rate(self) -> float:
        """Share of the highest learning rate."""
        return FALL**self.level


def look(plateau: Plateau, trace: Tensor, step: int, window: int) -> Plateau:
    """The plateau after `step` steps, whose objective values are `trace[:step]`; looked at after each window."""
    waited = step - plateau.since
    if waited < 2 * window or waited % window:
        return plateau
    before, after = trace[step - 2 * window : step - window].double(), trace[step - window : step].double()
    rise = float(after.mean() - before.mean())
    error = math.sqrt(float(before.var() + after.var()) / window)
    return plateau if rise > error else Plateau(plateau.level + 1, step)
