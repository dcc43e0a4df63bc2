"""A teacher counts the more, the surer it is at that input (Kwon et al., ICASSP 2020; MT-BKD)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class EntropyConfig:
    """Nothing to choose: the entropy is taken at temperature 1."""


def entropy(bank: TeacherBank, labels: Tensor | None = None) -> Tensor:
    """Weights `[N, M]` by the entropies of the teachers' (mean) probabilities at temperature 1.

        H_m = -sum_k p_mk log p_mk,    w_m = (1 - H_m / sum_j H_j) / (M - 1)

    One teacher, or a row where every H is 0, gets uniform weights: the formula is 0/0 there.
    """
    entropies = torch.special.entr(bank.mean_probs()).sum(-1).T
    count = bank.num_teachers
    if count == 1:
        return torch.ones_like(entropies)
    total = entropies.sum(-1, keepdim=True)
    shares = entropies / torch.where(total > 0, total, 1.0)
    # Where only one teacher is unsure its share can round to just above 1.
    weights = (1 - shares).clamp_min(0) / (count - 1)
    return torch.where(total > 0, weights, 1 / count)
