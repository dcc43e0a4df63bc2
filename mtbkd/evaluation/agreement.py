"""Do two posteriors say the same? Their mean predictions compared, as by Izmailov et al. 2021."""

import torch
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary

Said = Prediction | PredictionSummary | Tensor


def agreement(a: Said, b: Said) -> float:
    """Share of inputs at which two predictions have the same most probable class.

    a, b: predictions of the same N >= 1 inputs, or summaries of them, or mean probabilities `[N, K]`
    raises: InputError where their shapes differ or there is no input
    """
    p, q = _means(a, b)
    return float((p.argmax(-1) == q.argmax(-1)).double().mean())


def total_variation(a: Said, b: Said) -> float:
    """Mean over inputs of the total variation of two mean predictions, 1/2 sum_k |p_k - q_k|, in [0, 1].

    a, b: predictions of the same N >= 1 inputs, or summaries of them, or mean probabilities `[N, K]`
    raises: InputError where their shapes differ or there is no input
    """
    p, q = _means(a, b)
    return float((p - q).abs().sum(-1).mean() / 2)


def _means(a: Said, b: Said) -> tuple[Tensor, Tensor]:
    p, q = ((x if isinstance(x, Tensor) else x.mean).detach().to("cpu", torch.float64) for x in (a, b))
    if p.shape != q.shape or p.dim() != 2 or len(p) == 0:
        raise InputError(
            f"agreement: mean probabilities have shapes {list(p.shape)} and {list(q.shape)}; "
            "give predictions of the same inputs, [N, K] with N >= 1"
        )
    return p, q
