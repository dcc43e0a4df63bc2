"""When a noisy objective has as good as stopped rising: the rule by which a learning rate falls and a run ends.

After n = 300, 450, 675, ... steps the last third of all steps is compared with the third before it. Where the change
of the mean, up or down, and that change's standard error are together below a tolerance, the objective is at its
plateau: the learning rate falls to 0 on half a cosine over n / 2 further steps, and the run ends. It falls at the
latest in time for the last step of all.

Noise thus lengthens a run, and never ends it. The thirds grow with the run, so that a slow rise is seen in the end.
The standard error is of means of blocks of successive steps, which may be alike (parameters wander) or make up for
each other (an epoch sees each row once). The trace alone decides: the same run, killed or not, ends at the same step.
"""

import math
from dataclasses import dataclass

from torch import Tensor

FIRST_LOOK = 300
GROWTH = 1.5  # steps from one look to the next
DECAY = 0.5  # steps of the fall, as a share of those before it
BLOCKS = 20  # means whose spread tells a third's standard error


@dataclass(frozen=True)
class Plateau:
    """next: steps after which the trace is looked at; since: the step at which the rate began to fall, None before;
    end: the steps of the whole run, as far as is known."""

    next: int
    since: int | None
    end: int

    @classmethod
    def begin(cls, steps: int) -> "Plateau":
        """Before the first of at most so many steps."""
        return cls(FIRST_LOOK, None, steps)

    def rate(self, step: int) -> float:
        """Share of the highest learning rate."""
        if self.since is None:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - self.since) / (self.end - self.since)))


def look(plateau: Plateau, trace: Tensor, step: int, tolerance: float) -> Plateau:
    """The plateau after `step` steps, whose objective values are `trace[:step]`.

    tolerance: the rise that is as good as none, in the trace's units
    """
    if plateau.since is not None:
        return plateau
    if step >= plateau.end / (1 + DECAY):
        return Plateau(plateau.next, step, plateau.end)
    if step < plateau.next:
        return plateau
    rise, error = rise_of(trace[:step])
    if abs(rise) + error < tolerance:
        return Plateau(plateau.next, step, step + math.ceil(DECAY * step))
    return Plateau(math.ceil(GROWTH * step), None, plateau.end)


def rise_of(trace: Tensor) -> tuple[float, float]:
    """By how much the mean of a sequence's last third lies above that of the third before; and its standard error."""
    third = len(trace) // 3
    size = max(1, third // BLOCKS)
    number = third // size
    blocks = trace[len(trace) - 2 * number * size :].double().view(2, number, size).mean(2)
    before, after = blocks.mean(1)
    return float(after - before), math.sqrt(float(blocks.var(1).sum()) / number)
