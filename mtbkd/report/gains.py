"""What the student gains over another model: paired differences at the same test inputs, with their intervals."""

from dataclasses import dataclass

import numpy as np

from mtbkd.report.content import TestedModel, TestPredictions
from mtbkd.t_interval import Interval, t_interval


@dataclass(frozen=True)
class Gain:
    """The student less the other model, 95 % intervals over inputs; what is hard for both cancels.

    accuracy: share of inputs; nll: nats an input, below 0 where the student is better, None where either is infinite
    """

    accuracy: Interval
    nll: Interval | None


def gain(test: TestPredictions, other: TestedModel) -> Gain | None:
    """Of the test inputs that have a label; None where none has.

    d_i = 1[student right at i] - 1[other right at i], mean +- t sd(d) / sqrt(n), and the same of -log p(y)
    """
    known = test.y >= 0
    if not known.any():
        return None
    y, rows = test.y[known], np.arange(known.sum())
    one, two = test.probs[known].astype(np.float64), other.probs[known].astype(np.float64)
    right = (one.argmax(1) == y).astype(float) - (two.argmax(1) == y)
    if (one[rows, y] == 0).any() or (two[rows, y] == 0).any():
        return Gain(t_interval(right), None)
    return Gain(t_interval(right), t_interval(np.log(two[rows, y]) - np.log(one[rows, y])))
