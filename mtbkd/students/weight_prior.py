"""Priors on a student's weights."""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from mtbkd.errors import require_choice, require_positive
from mtbkd.students.skeleton import Skeleton

KINDS = ("fixed", "fan_in")


class NormalWeights:
    """Independent normals on all weights: `N(theta; loc, sigma^2)`, a Pyro sub-model.

    scale: standard deviation (not the variance). kind 'fixed': the same for every weight; 'fan_in': weights of a
    layer with n inputs have `scale / sqrt(n)`, biases `scale`. loc is 0, and 1 for the gains of normalisation layers,
    which at 0 would switch the layer off.
    """

    def __init__(self, scale: float = 3.0, kind: str = "fan_in") -> None:
        require_positive(prior_scale=scale)
        require_choice("prior_kind", kind, KINDS)
        self.scale = scale
        self.kind = kind

    def distributions(self, skeleton: Skeleton, like: Tensor) -> dict[str, TorchDistributionMixin]:
        """One distribution a parameter, in the dtype and on the device of `like`."""
        result = {}
        for name, shape in skeleton.shapes.items():
            loc = 1.0 if is_gain(skeleton, name) else 0.0
            scale = self.scale / math.sqrt(fan_in(shape)) if self.kind == "fan_in" else self.scale
            normal = dist.Normal(like.new_full((), loc), like.new_full((), scale), validate_args=False)
            result[name] = normal.expand(shape).to_event(len(shape))
        return result

    def initial(self, skeleton: Skeleton, generator: torch.Generator) -> dict[str, Tensor]:
        """A start for optimisation: scaled by fan-in (He), never wider than the prior; biases 0, gains 1."""
        start = {}
        for name, shape in skeleton.shapes.items():
            if is_gain(skeleton, name):
                start[name] = torch.ones(shape)
            elif len(shape) < 2:
                start[name] = torch.zeros(shape)
            else:
                scale = math.sqrt(2.0 / fan_in(shape))
                start[name] = scale * torch.randn(shape, generator=generator)
        return start


def sample_weights(distributions: dict[str, TorchDistributionMixin]) -> dict[str, Tensor]:
    """Declare every weight as a Pyro sample site named as the parameter."""
    return {name: pyro.sample(name, distribution) for name, distribution in distributions.items()}


def fan_in(shape: torch.Size) -> int:
    """Number of inputs of one unit: `in * kernel` for a weight `[out, in, *kernel]`, 1 for a vector."""
    return math.prod(shape[1:]) if len(shape) > 1 else 1


def is_gain(skeleton: Skeleton, name: str) -> bool:
    """Whether a parameter is the gain of a normalisation layer."""
    path, _, own = name.rpartition(".")
    layer = skeleton.module.get_submodule(path)
    return own == "weight" and isinstance(
        layer, (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.modules.instancenorm._InstanceNorm)
    )
