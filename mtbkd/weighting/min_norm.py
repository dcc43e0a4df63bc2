"""The shortest of the weighted means of a few vectors, none of which may count more than a given share.

    argmin_a || sum_m a_m g_m ||^2,   sum_m a_m = 1,   0 <= a_m <= cap

Solved exactly by a primal active-set method (Nocedal and Wright 2006, algorithm 16.3): on the face where some weights
are held at a bound the minimum is a linear system; a weight that meets a bound on the way there is held, one that a
multiplier would rather move is released. Always the first such one (Bland's rule), so that ties do not go round.
"""

import torch
from torch import Tensor

# Of the mean squared length: makes the minimum unique, so that vectors that are the same share evenly.
RIDGE = 1e-8
MOST_FACES = 10_000


def min_norm(vectors: Tensor, cap: float) -> Tensor:
    """Weights `[M]`, float64, of vectors `[M, K]`; cap: at least 1 / M, where all weights are equal.

    Where several weights give the shortest mean, the most even of them (to a ridge of 1e-8); all vectors 0: equal.
    """
    count = len(vectors)
    even = torch.full((count,), 1 / count, dtype=torch.float64)
    gram = vectors.double() @ vectors.double().T
    scale = gram.diagonal().mean()
    if cap * count <= 1 or not bool(scale > 0):
        return even
    return _minimum(gram / scale + RIDGE * torch.eye(count, dtype=torch.float64), cap, even)


def _minimum(hessian: Tensor, cap: float, start: Tensor) -> Tensor:
    """Minimum of `a' hessian a` on the capped simplex, from a start within its bounds."""
    weights, held = start, torch.zeros(len(start), dtype=torch.bool)
    for _ in range(MOST_FACES):
        direction, level = _towards_minimum(hessian, weights, ~held)
        length, blocking = _until_bound(weights, direction, cap)
        weights = weights + length * direction
        if length < 1:
            held[blocking] = True
            weights[blocking] = 0.0 if direction[blocking] < 0 else cap
            continue
        # What each held weight would gain by going back inside.
        slack = hessian @ weights + level
        gain = torch.where(weights < cap / 2, -slack, slack)
        wrong = held & (gain > 1e-12)
        if not bool(wrong.any()):
            return weights.clamp(0, cap)
        held[int(wrong.nonzero()[0])] = False
    raise RuntimeError(f"the shortest mean of {len(start)} vectors was not found on {MOST_FACES} faces")


def _towards_minimum(hessian: Tensor, weights: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """From weights to the minimum of their face, `[M]` with 0 where held, and the multiplier of the sum there."""
    at, slope = free.nonzero().flatten(), hessian @ weights
    count = len(at)
    direction = torch.zeros_like(weights)
    if count == 1:  # the sum leaves it no room, not even that of rounding
        return direction, -slope[at[0]]
    system = torch.ones(count + 1, count + 1, dtype=hessian.dtype)
    system[:count, :count] = hessian[at][:, at]
    system[count, count] = 0
    right = torch.zeros(count + 1, dtype=hessian.dtype)
    right[:count] = -slope[at]
    solution = torch.linalg.solve(system, right)
    direction[at] = solution[:count]
    return direction, solution[count]


def _until_bound(weights: Tensor, direction: Tensor, cap: float) -> tuple[float, int]:
    """How far one can go, at most 1, and the first weight that meets its bound there."""
    room = torch.where(direction < 0, weights, cap - weights)
    length = torch.where(direction == 0, torch.inf, room / direction.abs()).clamp_min(0)
    first = int(length.argmin())
    return min(1.0, float(length[first])), first
