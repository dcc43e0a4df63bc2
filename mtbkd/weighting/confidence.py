"""A teacher counts the more, the nearer it is to the label of that input (CA-MKD, arXiv 2201.00007)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.complement import complement
from mtbkd.weighting.labels import label_losses, pool_labels
from mtbkd.weighting.uniform import uniform


@dataclass(frozen=True)
class ConfidenceConfig:
    """Nothing to choose: the cross-entropy is taken at temperature 1."""


def confidence(bank: TeacherBank, labels: Tensor | None = None) -> Tensor:
    """Weights `[N, M]` by the teachers' cross-entropies at the pool's labels, at temperature 1.

        w_m = (1 - exp CE(z_m, y) / sum_j exp CE(z_j, y)) / (M - 1)        labelled rows
        w_m = 1 / M                                                       unlabelled rows

    Of a Bayesian teacher CE is of the mean of its draws. One teacher: 1. Teachers that give the label probability 0
    share what the formula takes away.
    labels: `[N]`, -1 where unlabelled
    """
    known = pool_labels("weighting 'confidence'", bank, labels)
    weights = uniform(bank)
    rows = (known >= 0).nonzero().flatten()
    if len(rows):
        losses = label_losses(bank.take(rows), known[rows])
        weights[rows] = complement(torch.softmax(losses, -1)).float()
    return weights
