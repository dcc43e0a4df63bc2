"""The mass of HMC: a scale for each coordinate, and in each chain a mass of its own along its stiffest directions.

    M^-1 = D S^2 D,   D = diag(scale),   S^2 = I + sum_r (1 / lambda_r - 1) u_r u_r'

The log-density of a network is steep along few directions, about as many as there are classes, which no diagonal can
tell apart, and which are others in each mode, so in each chain: their curvature alone would hold the step down for all
others. Under the posterior E[grad grad'] = E[-Hessian], so they are the largest principal directions of the gradients
that trajectories meet, of which there are many more than draws. (A low-rank mass as in Seyboldt, Carlson and Carpenter
2024, whose estimate is of draws and gradients alike; here gradients alone, for a draw says nothing of what is stiff.)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# Bytes that the directions of all chains may take; of large networks there are fewer of them. While warming up, what
# they are learned from takes up to five times as much.
MOST_BYTES = 64e6
# As many unit gradients are counted besides: few gradients stretch nothing far.
PRIOR_COUNT = 5.0
# Half the distance of two gradients that tell of a direction's stiffness, in deviations along it.
DIFFERENCE = 0.3


@dataclass(frozen=True)
class Metric:
    """scale: `[D]`; directions: `[C, R, D]`, orthonormal, of coordinates in units of the scale; stiffness: `[C, R]`,
    the precision along each, lambda; R may be 0. Velocities `[C, D]` are in units of the scale a unit of time."""

    scale: Tensor
    directions: Tensor
    stiffness: Tensor

    @classmethod
    def diagonal(cls, scale: Tensor, num_chains: int) -> "Metric":
        """Without directions."""
        return cls(scale, scale.new_empty(num_chains, 0, len(scale)), scale.new_empty(num_chains, 0))

    @classmethod
    def of(cls, scale: Tensor, gradients: "GradientSketch", rank: int) -> "Metric":
        """Of the gradients met, their `rank` largest principal directions in units of the scale."""
        rank = min(rank, len(scale), gradients.rows.shape[1])
        if not rank:
            return cls.diagonal(scale, len(gradients.rows))
        rows = principal(gradients.rows * scale, rank).double()
        size = rows.square().sum(-1)
        count = gradients.count.double()[:, None]
        stiffness = (size + PRIOR_COUNT) / (count + PRIOR_COUNT)
        told = size > 1e-6 * size.amax(-1, keepdim=True)  # what lies below may be float32's rounding
        directions = torch.linalg.qr(rows.mT / size.sqrt().clamp(min=1e-300)[:, None]).Q.mT
        directions = torch.where(told[..., None], directions, 0.0)
        return cls(
            scale, directions.to(scale.dtype), torch.where(told, stiffness, 1.0).to(scale.dtype).contiguous()
        )

    def checked(self, theta: Tensor, gradient: Callable[[Tensor], Tensor]) -> "Metric":
        """With no direction stiffer than it is at `theta [C, D]`, by differences of the gradient, nor less than 1.

        Gradients of one trajectory are far from independent: in a loose posterior they span little but where it began
        and its velocity, which would pass for stiff, and a mass there would hold the chain where it is.
        """
        told = []
        for direction, stiffness in zip(self.directions.unbind(1), self.stiffness.unbind(1), strict=True):
            width = DIFFERENCE * stiffness.clamp(min=1.0).rsqrt()[:, None]
            step = width * self.scale * direction
            change = (gradient(theta - step) - gradient(theta + step)) * self.scale
            there = (change * direction).sum(-1) / (2 * width[:, 0])
            told.append(torch.minimum(stiffness, there.nan_to_num(1.0)).clamp(min=1.0))
        return replace(self, stiffness=torch.stack(told, 1)) if told else self

    def velocity(self, noise: Tensor) -> Tensor:
        """A velocity `[C, D]` of standard normal noise: S noise."""
        return self.stretched(noise, self.stiffness.rsqrt())

    def force(self, grad: Tensor) -> Tensor:
        """What a gradient `[C, D]` in theta adds to the velocity a unit of time: S^2 D grad."""
        return self.stretched(self.scale * grad, self.stiffness.reciprocal())

    def kinetic(self, velocity: Tensor) -> Tensor:
        """Kinetic energy `[C]` in nats, float64: |S^-1 velocity|^2 / 2."""
        along = torch.einsum("crd,cd->cr", self.directions, velocity).double()
        more = ((self.stiffness.double() - 1) * along.square()).sum(-1)
        return 0.5 * (velocity.double().square().sum(-1) + more)

    def stretched(self, vector: Tensor, by: Tensor) -> Tensor:
        """`vector [C, D]` with its part along each direction multiplied by `by [C, R]`."""
        if not self.stiffness.shape[1]:
            return vector
        along = torch.bmm(self.directions, vector[:, :, None])
        return torch.baddbmm(vector[:, None], ((by - 1)[:, :, None] * along).mT, self.directions)[:, 0]


@dataclass(frozen=True)
class GradientSketch:
    """The second moment of gradients, `rows' rows / count`, by few rows `[C, m, D]` that make most of it; count: `[C]`
    gradients, those of trajectories that were not accepted counting less."""

    rows: Tensor
    count: Tensor

    @classmethod
    def start(cls, theta: Tensor) -> "GradientSketch":
        """Of no gradient of the chains `theta [C, D]`."""
        return cls(theta.new_empty(len(theta), 0, theta.shape[1]), theta.new_zeros(len(theta)))

    def add(self, gradients: Tensor, accept: Tensor, keep: int) -> "GradientSketch":
        """With those of a trajectory, `[C, s, D]`, each counted `accept [C]` times; at least `keep` rows are kept."""
        share = accept.to(gradients.dtype)
        heard = torch.where((share > 0)[:, None, None], gradients * share.sqrt()[:, None, None], 0.0)
        rows = torch.cat([self.rows, heard.nan_to_num(0.0, 0.0, 0.0)], 1)
        if rows.shape[1] > 2 * keep:
            rows = principal(rows, keep)
        return GradientSketch(rows, self.count + share * gradients.shape[1])

    def forget(self) -> "GradientSketch":
        """The same second moment as of half as many gradients, so that later ones weigh more."""
        return GradientSketch(self.rows * 0.5**0.5, self.count / 2)


def affordable_rank(rank: int, num_chains: int, like: Tensor) -> int:
    """At most `rank` directions, for chains of `like [..., D]`."""
    return int(min(rank, like.shape[-1], MOST_BYTES // (num_chains * like.shape[-1] * like.element_size())))


def principal(rows: Tensor, number: int) -> Tensor:
    """The `number` orthogonal rows `[C, number, D]` that make most of `rows' rows`, the largest first."""
    _, vectors = torch.linalg.eigh((rows @ rows.mT).double())
    return vectors.flip(-1)[:, :, :number].mT.to(rows.dtype) @ rows
