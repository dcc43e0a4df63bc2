"""A teacher counts the more, the surer it is at that input (Kwon et al., ICASSP 2020; MT-BKD)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.complement import complement


@dataclass(frozen=True)
class EntropyConfig:
    """Nothing to choose: the entropy is taken at temperature 1."""


def entropy(bank: TeacherBank, labels: Tensor | None = None) -> Tensor:
    """Weights `[N, M]` by the entropies of the teachers' (mean) probabilities at temperature 1.

        H_m = -sum_k p_mk log p_mk,    w_m = (1 - H_m / sum_j H_j) / (M - 1)

    The entropy of a teacher that knows only some classes is that of these: how sure it is of what it speaks of, though
    the input may be of none of them. One teacher, or a row where every H is 0, gets uniform weights: the formula is 0/0
    there.
    """
    return complement(torch.special.entr(bank.mean_probs()).sum(-1).T)
