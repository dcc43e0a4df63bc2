"""How probable each teacher finds the labels: what rules that learn from labels begin with."""

import math

import torch
from torch import Tensor

from mtbkd.teachers.bank import TeacherBank


def label_scores(bank: TeacherBank, labels: Tensor) -> Tensor:
    """`[N, M]` float64, log p_m(y_i), of the mean of a Bayesian teacher's draws; -inf for a probability of 0.

    The logarithm of `bank.completed_probs()` at the labels, taken before float32 makes a 0 of what is small.
    labels: `[N]` of the bank's rows, each 0..K-1
    """
    columns = []
    for z in bank.predictions:
        log_p = torch.log_softmax(z.double(), -1)
        said = log_p.gather(2, labels.expand(len(z), -1)[..., None])[..., 0]  # [S, N]
        columns.append(said.logsumexp(0) - math.log(len(z)))
    scores = torch.stack(columns, -1)
    if bank.classes is None:
        return scores
    covered = bank.classes.double().mean(-1)  # [M], |C| / K
    return torch.where(bank.classes[:, labels].T, scores + covered.log(), -math.log(bank.num_classes))
