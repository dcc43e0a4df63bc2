"""A teacher counts by what it lacks of a row's total: of entropy, of information, of loss."""

import torch
from torch import Tensor


def complement(amounts: Tensor) -> Tensor:
    """Weights `[N, M]` that fall as a teacher's share of the row's amounts `[N, M]`, all >= 0, grows.

        w_m = (1 - a_m / sum_j a_j) / (M - 1)

    One teacher, or a row where every amount is 0, gets uniform weights: the formula is 0/0 there.
    """
    count = amounts.shape[-1]
    if count == 1:
        return torch.ones_like(amounts)
    total = amounts.sum(-1, keepdim=True)
    shares = amounts / torch.where(total > 0, total, 1.0)
    # Where only one teacher has any, its share can round to just above 1.
    weights = (1 - shares).clamp_min(0) / (count - 1)
    return torch.where(total > 0, weights, 1 / count)
