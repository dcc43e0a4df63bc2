"""A teacher counts the more, the surer it is at that input, as sharply as one likes."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import require_at_least
from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class EntropySoftmaxConfig:
    """sharpness: c, how many nats of weight lie between a teacher that is certain and one that says nothing."""

    sharpness: float = 5.0

    def __post_init__(self) -> None:
        require_at_least(0, **{"weighting.sharpness": self.sharpness})


def entropy_softmax(bank: TeacherBank, labels: Tensor | None = None, sharpness: float = 5.0) -> Tensor:
    """Weights `[N, M]` by the entropies of the teachers' (mean) probabilities at temperature 1.

        H_m = -sum_k p_mk log p_mk,    w_m ∝ exp(-c H_m / log K)

    Where the entropy weights are at most 1 / (M - 1), one teacher of many can here have nearly all. As there, the
    entropy of a teacher that knows only some classes is that of these.
    """
    require_at_least(0, sharpness=sharpness)
    entropies = torch.special.entr(bank.mean_probs()).sum(-1).T
    return torch.softmax(-sharpness / math.log(bank.num_classes) * entropies, -1)
