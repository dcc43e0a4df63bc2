"""The mixture of teachers that fits labels best: stacking weights on the simplex, by EM."""

import torch
from torch import Tensor

from mtbkd.errors import InputError

# Nats of mean log score that the weights may fall short of the best ones.
TOLERANCE = 1e-6
STEPS = 10_000


def stack(log_scores: Tensor, tolerance: float = TOLERANCE, steps: int = STEPS) -> Tensor:
    """Weights `[M]` of the mixture with the largest mean log score (Yao et al. 2018, by EM).

        max_w  l(w) = 1/n sum_i log sum_m w_m exp(s_im)      over w >= 0, sum_m w_m = 1
        w_m <- w_m g_m,   g_m = 1/n sum_i exp(s_im) / sum_j w_j exp(s_ij)

    l is concave, and max_m g_m - 1 bounds what w falls short of its maximum: EM ends when that is below
    `tolerance`, or after `steps`. Teachers that say the same share their weight equally.

    log_scores: `[n, M]` log p_m(y_i), -inf allowed; a row that every teacher gave probability 0 says nothing about
        the weights and is left out
    Raises `InputError` for NaN, +inf, and where no row is left.
    """
    scores = log_scores.double()
    if scores.dim() != 2 or bool((scores.isnan() | (scores == torch.inf)).any()):
        raise InputError(
            f"log scores of shape {tuple(scores.shape)}, or among them NaN or +inf; "
            "give log-probabilities [n, M], -inf for a probability of 0"
        )
    scores = scores[(scores > -torch.inf).any(1)]
    if not scores.numel():
        raise InputError(
            "no row whose label any teacher gave more than probability 0; check the order of the classes"
        )
    p = (scores - scores.max(1, keepdim=True).values).exp()  # the row's constant cancels in g
    w = torch.full_like(p[0], 1 / p.shape[1])
    for _ in range(steps):
        g = (p / (p @ w)[:, None]).mean(0)
        if float(g.max()) - 1 < tolerance:
            break
        w = w * g
    return w / w.sum()


def mixture_scores(log_scores: Tensor, weights: Tensor) -> Tensor:
    """log sum_m w_m exp(s_im) `[n]` of log scores `[n, M]` and weights `[M]`, which may be exactly 0."""
    return torch.logsumexp(log_scores + weights.log(), -1)
