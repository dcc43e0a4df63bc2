"""Teachers that labels show to be worse than saying nothing: a wrong one must not ruin a student in silence."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.rules import HeldOut
from mtbkd.t_interval import t_interval
from mtbkd.teachers.bank import TeacherBank

# Fewer labels than this accuse nobody.
FEWEST = 5
# Of the one-sided test.
LEVEL = 0.01
# A teacher with less than this part of an equal share is hardly heard.
HEARD = 0.1
# Rounding of float32 probabilities.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Suspect:
    """A teacher that labels speak against.

    accuracy: share of `rows` labelled rows at which it is right; brier: its mean Brier score there, in [0, 2];
    ignorance: what 1 / K for every class scores, 1 - 1 / K; weight: its mean weight in the pool
    """

    name: str
    rows: int
    accuracy: float
    brier: float
    ignorance: float
    weight: float

    def __str__(self) -> str:
        return (
            f"'{self.name}' is right at {self.accuracy:.0%} (Brier score {self.brier:.2f}; 1/K for every class "
            f"has {self.ignorance:.2f}) and has {self.weight:.0%} of the weight"
        )


def suspects(bank: TeacherBank, labels: Tensor, weights: Tensor) -> list[Suspect]:
    """Teachers whose Brier score is above that of 1 / K for every class, by a one-sided t test at `LEVEL`.

        mean_i d_i > t_{n - 1} sd(d) / sqrt(n),    d_i = sum_k (p_m(k | x_i) - 1[y_i = k])^2 - (1 - 1 / K)

    The Brier score is bounded, so one sure mistake convicts nobody, as it would by log-likelihood. The mean of a
    Bayesian teacher's draws is judged, and 1 / K where a teacher does not know a class.
    labels: `[N]` of the bank's rows, -1 where unlabelled; weights: `[M]` mean weights, those hardly heard are left out
    returns: the worst first; none for fewer than `FEWEST` labels
    """
    rows = (labels >= 0).nonzero().flatten()
    n, k = len(rows), bank.num_classes
    if n < FEWEST:
        return []
    y = labels[rows]
    probs = bank.take(rows).completed_probs().double()  # [M, n, K]
    scores = (probs - torch.nn.functional.one_hot(y, k)).square().sum(-1)  # [M, n]
    excess = scores - (1 - 1 / k)
    surely = [t_interval(one.numpy(), 1 - 2 * LEVEL).low for one in excess.cpu()]
    right = (probs.argmax(-1) == y).double().mean(-1)
    found = [
        Suspect(name, n, float(right[m]), float(scores[m].mean()), 1 - 1 / k, float(weights[m]))
        for m, name in enumerate(bank.names)
        if surely[m] > ROUNDING and float(weights[m]) >= HEARD / bank.num_teachers
    ]
    return sorted(found, key=lambda one: -one.brier)


def warn_of_suspects(bank: TeacherBank, labels: Tensor, held_out: HeldOut | None, weights: Tensor) -> None:
    """Warn of each by held-out labels, where there are enough, or by the pool's.

    labels: `[N]` of the pool; weights: `[N, M]`
    """
    by_pool = held_out is None or int((held_out.labels >= 0).sum()) < FEWEST
    judged, known, where = bank, labels, "labelled rows of the pool"
    if not by_pool and held_out is not None:
        judged, known, where = held_out.bank, held_out.labels, "labelled held-out rows"
    found = suspects(judged, known, weights.double().mean(0))
    if found:
        warnings.warn(
            f"{'teachers' if len(found) > 1 else 'teacher'} {'; '.join(map(str, found))}, by {found[0].rows} {where}: "
            f"worse than saying nothing, and may ruin the student; check the order of the classes, leave "
            f"{'them' if len(found) > 1 else 'it'} out, or let labels decide (teachers.select=auto, weighting=learned)",
            stacklevel=2,
        )
