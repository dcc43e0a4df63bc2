"""Adam as a pure function (Kingma and Ba 2015, algorithm 1), so that its state can be kept and handed on.

m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
theta <- theta - rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdamState:
    """Moving averages of the gradient and of its square, each like the parameters, and the steps taken."""

    mean: Tensor
    square: Tensor
    count: int


def init(theta: Tensor) -> AdamState:
    """Before the first step."""
    return AdamState(torch.zeros_like(theta), torch.zeros_like(theta), 0)


def adam(
    state: AdamState,
    theta: Tensor,
    grad: Tensor,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Tensor, AdamState]:
    """One step down `grad`, which has the shape of `theta`; nothing is changed in place."""
    count = state.count + 1
    mean = torch.lerp(state.mean, grad, 1 - betas[0])
    square = torch.addcmul(state.square * betas[1], grad, grad, value=1 - betas[1])
    scale = math.sqrt(1 - betas[1] ** count)
    theta = torch.addcdiv(
        theta, mean, square.sqrt().add_(eps * scale), value=-learning_rate * scale / (1 - betas[0] ** count)
    )
    return theta, AdamState(mean, square, count)
