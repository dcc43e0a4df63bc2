"""Normals with a location and scale of each entry: what a posterior's draws are summed up by."""

import math
from typing import ClassVar

import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from mtbkd.students.weight_prior import Shape

_SINGLE = torch.Size()


class ElementwiseNormal(TorchDistribution):
    """Independent normals on a tensor, each entry of its own location and scale `[*shape]`, as one event.

    The same as `Normal(loc, scale).to_event()` with the logarithms of the scales left out of the graph.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, batch_shape: torch.Size = _SINGLE) -> None:
        super().__init__(batch_shape, loc.shape, validate_args=False)
        self.loc = loc
        self.scale = scale
        self.inverse = scale.reciprocal()
        self.constant = float(scale.double().log().sum()) + 0.5 * loc.numel() * math.log(2 * math.pi)

    @property
    def support(self) -> Constraint:
        """All real tensors of the shape."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Shape, _instance: object = None) -> "ElementwiseNormal":
        """The same, `batch_shape` times."""
        return ElementwiseNormal(self.loc, self.scale, torch.Size(batch_shape))

    def rsample(self, sample_shape: Shape = _SINGLE) -> Tensor:
        """Draws `[*sample_shape, *batch_shape, *shape]`."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.loc + self.scale * torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of values `[..., *shape]`, `[...]`."""
        squares = ((value - self.loc) * self.inverse).square()
        dims = tuple(range(-len(self.event_shape), 0))
        return (squares.sum(dims) if dims else squares) * -0.5 - self.constant

    @property
    def mean(self) -> Tensor:
        """`[*batch_shape, *shape]`."""
        return self.loc.expand(self._extended_shape())

    @property
    def variance(self) -> Tensor:
        """`[*batch_shape, *shape]`."""
        return self.scale.square().expand(self._extended_shape())
