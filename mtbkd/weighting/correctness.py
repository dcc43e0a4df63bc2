"""A teacher counts by its correctness at that input, and all together by theirs (UEKD, arXiv 2204.00548).

The paper's formulas are printed nowhere that we could read; these are ours, by what its abstract says:

    w_m = exp(-CE(p_m, y)) / sum_j exp(-CE(p_j, y))      labelled rows;  1 / M  at unlabelled ones
    rho = 1 / (1 + CE(sum_m w_m p_m, y))                 what the teachers' term counts at labelled rows: less, the
                                                         less the ensemble is correct
    rho = 1 + JSD(p_1, ..., p_M) / log M                 at unlabelled rows: more, the more the teachers disagree
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.labels import label_losses, pool_labels
from mtbkd.weighting.uniform import uniform
from mtbkd.weighting.weights import Weights


@dataclass(frozen=True)
class CorrectnessConfig:
    """paper_scale: leave rho as it is, instead of dividing it by its mean, which keeps the teachers' strength."""

    paper_scale: bool = False


def correctness(bank: TeacherBank, labels: Tensor | None = None, paper_scale: bool = False) -> Weights:
    """Weights `[N, M]` and the scale rho `[N]` of the equations above, all at temperature 1.

    rho is divided by its mean over the labelled rows, and over the unlabelled rows, unless `paper_scale`. A label that
    no teacher thinks possible has w = 1 / M and rho = 0. One teacher: w = 1, JSD / log M = 0.
    labels: `[N]` of the pool, -1 where unlabelled
    """
    known = pool_labels("weighting 'correctness'", bank, labels)
    weights, scale = uniform(bank).double(), torch.ones(bank.num_rows, dtype=torch.float64)
    labelled, unlabelled = (known >= 0).nonzero().flatten(), (known < 0).nonzero().flatten()
    if len(labelled):
        losses = label_losses(bank.take(labelled), known[labelled])
        weights[labelled] = torch.softmax(-losses, -1)
        log_correct = torch.logsumexp(torch.log_softmax(-losses, -1) - losses, -1)  # log sum_m w_m p_m(y)
        scale[labelled] = 1 / (1 - log_correct)
    if len(unlabelled):
        scale[unlabelled] = 1 + disagreement(bank.take(unlabelled))
    if not paper_scale:
        for rows in (labelled, unlabelled):
            scale[rows] /= scale[rows].mean()
    return Weights(weights.float(), scale.float())


def disagreement(bank: TeacherBank) -> Tensor:
    """`[N]` in [0, 1], JSD(p_1, ..., p_M) / log M: the entropy of the teachers' mean less their mean entropy."""
    if bank.num_teachers == 1:
        return torch.zeros(bank.num_rows, dtype=torch.float64)
    probs = bank.completed_probs().double()
    entropy_of_mean = torch.special.entr(probs.mean(0)).sum(-1)
    mean_entropy = torch.special.entr(probs).sum(-1).mean(0)
    return (entropy_of_mean - mean_entropy).clamp(min=0) / math.log(bank.num_teachers)
