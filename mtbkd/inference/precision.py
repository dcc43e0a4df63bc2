"""Normals given by their precision: how noise becomes a deviation from the mean.

    theta - mean = A xi,    A A' = precision^-1,    xi ~ N(0, I)

log q(theta) = log |precision| / 2 - |xi|^2 / 2 - D / 2 log 2 pi, whatever the shape of the precision.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Precision(Protocol):
    """A positive definite matrix `[D, D]`, kept as its kind allows."""

    @property
    def log_det(self) -> Tensor:
        """Log of its determinant."""
        ...

    def deviations(self, noise: Tensor) -> Tensor:
        """A xi of noises `[s, D]`: `[s, D]`."""
        ...


@dataclass(frozen=True)
class DiagonalPrecision:
    """Independent coordinates; diagonal: `[D]`."""

    diagonal: Tensor

    @property
    def log_det(self) -> Tensor:
        """Sum of logs."""
        return self.diagonal.log().sum()

    def deviations(self, noise: Tensor) -> Tensor:
        """Noise over the root of the diagonal."""
        return noise * self.diagonal.rsqrt()


@dataclass(frozen=True)
class FullPrecision:
    """cholesky: lower L `[D, D]` with L L' the precision."""

    cholesky: Tensor

    @property
    def log_det(self) -> Tensor:
        """Twice the sum of the logs of L's diagonal."""
        return 2 * self.cholesky.diagonal().log().sum()

    def deviations(self, noise: Tensor) -> Tensor:
        """L^-T xi."""
        return torch.linalg.solve_triangular(self.cholesky.T, noise.T, upper=True).T


@dataclass(frozen=True)
class LowRankPrecision:
    """B^1/2 (I + V diag(e) V') B^1/2: diagonal B `[D]`, orthonormal V `[D, r]`, e `[r]` >= 0."""

    diagonal: Tensor
    vectors: Tensor
    values: Tensor

    @classmethod
    def of(cls, diagonal: Tensor, factor: Tensor) -> "LowRankPrecision":
        """The precision diag(diagonal) + U U' of a factor U `[D, r]`."""
        vectors, roots, _ = torch.linalg.svd(diagonal.rsqrt()[:, None] * factor, full_matrices=False)
        return cls(diagonal, vectors, roots.square())

    @property
    def log_det(self) -> Tensor:
        """Of the diagonal, and of what was added to it."""
        return self.diagonal.log().sum() + self.values.log1p().sum()

    def deviations(self, noise: Tensor) -> Tensor:
        """B^-1/2 (xi + V diag((1 + e)^-1/2 - 1) V' xi)."""
        shrunk = (noise @ self.vectors) * ((1 + self.values).rsqrt() - 1)
        return (noise + shrunk @ self.vectors.T) * self.diagonal.rsqrt()


def log_normal(precision: Precision, noise: Tensor) -> Tensor:
    """log q of the draws made from noises `[s, D]`: `[s]`."""
    constant = 0.5 * noise.shape[-1] * math.log(2 * math.pi)
    return 0.5 * precision.log_det - 0.5 * noise.square().sum(-1) - constant
