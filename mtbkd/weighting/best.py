"""The one teacher that fits held-out labels best, and no other: the baseline that several must beat."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.rules import HeldOut
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting.labels import held_out_scores
from mtbkd.weighting.uniform import uniform


@dataclass(frozen=True)
class BestConfig:
    """Nothing to choose: the log score is taken at temperature 1."""


def best(bank: TeacherBank, labels: Tensor | None = None, held_out: HeldOut | None = None) -> Tensor:
    """Weights `[N, M]`, the same at every row: 1 for the teacher with the largest held-out log score, else 0.

        argmax_m sum_i log max(p_m(y_i), e),   e -> 0

    So the fewest labels of probability 0 come first: one of them would cost infinitely much, and teachers that have
    any could not be told apart. Of equal teachers the first is taken. One teacher: 1.
    held_out: the same teachers at rows that none was trained on; the pool's labels are not used. Raises `InputError`
        where all teachers give every label 0.
    """
    if bank.num_teachers == 1:
        return uniform(bank)
    scores = held_out_scores("weighting 'best'", bank, held_out)
    # Exact sums: equal teachers are equal wherever they stand, so that the first of them is taken.
    columns = [[score for score in column if score > -math.inf] for column in scores.T.tolist()]
    ranks = [(len(finite), math.fsum(finite)) for finite in columns]
    weights = torch.zeros(bank.num_rows, bank.num_teachers)
    weights[:, ranks.index(max(ranks))] = 1
    return weights
