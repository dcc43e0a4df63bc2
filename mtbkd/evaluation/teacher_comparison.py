"""How far teachers are from one another. How well each is calibrated, `evaluate(probs[m], y)` tells."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.evaluation.agreement import agreement, total_variation


@dataclass(frozen=True)
class TeacherComparison:
    """Of M teachers at the same N inputs; both matrices symmetric with zeros on the diagonal.

    disagreement: `[M, M]` share of inputs at which two have different most probable classes
    total_variation: `[M, M]` mean over inputs of 1/2 sum_k |p_k - q_k|, in [0, 1]
    """

    disagreement: np.ndarray
    total_variation: np.ndarray


def compare_teachers(probs: Tensor) -> TeacherComparison:
    """Every teacher against every other.

    probs: `[M, N, K]` probabilities of M teachers, N >= 1
    raises: InputError for other shapes
    """
    if probs.dim() != 3 or 0 in probs.shape:
        raise InputError(
            f"teachers: probabilities of shape {list(probs.shape)}; give [M, N, K], all at the same N >= 1 inputs"
        )
    return TeacherComparison(
        _of_pairs(probs, lambda p, q: 1 - agreement(p, q)), _of_pairs(probs, total_variation)
    )


def _of_pairs(probs: Tensor, distance: Callable[[Tensor, Tensor], float]) -> np.ndarray:
    m = len(probs)
    found = np.zeros((m, m))
    for i, j in torch.combinations(torch.arange(m)).tolist():
        found[i, j] = found[j, i] = distance(probs[i], probs[j])
    return found
