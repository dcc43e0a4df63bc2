"""Priors on a student's weights."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistribution, TorchDistributionMixin
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from mtbkd.errors import require_choice, require_positive
from mtbkd.students.skeleton import Skeleton

KINDS = ("fixed", "fan_in")
Shape = torch.Size | list[int] | tuple[int, ...]
_SINGLE = torch.Size()


class WeightPrior(ABC):
    """A prior on all weights of a network: a Pyro sub-model with one site a parameter, named as it is."""

    @abstractmethod
    def distributions(self, skeleton: Skeleton, like: Tensor) -> dict[str, TorchDistributionMixin]:
        """One distribution a parameter, in the dtype and on the device of `like`.

        Raises `InputError` for a prior on the weights of another network."""

    @abstractmethod
    def initial(self, skeleton: Skeleton, generator: torch.Generator) -> dict[str, Tensor]:
        """Weights to start an optimisation from."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """What it is, as plain data, kept with a posterior."""

    def sample(self, skeleton: Skeleton, like: Tensor) -> dict[str, Tensor]:
        """Declare every weight as a Pyro sample site; a prior that is no product over parameters adds a factor."""
        return sample_weights(self.distributions(skeleton, like))

    def draw(self, skeleton: Skeleton, generator: torch.Generator) -> dict[str, Tensor]:
        """One draw of all weights, `[*shape]` by parameter, float32."""
        with torch.random.fork_rng(devices=[]):  # distributions take no generator
            # `torch.manual_seed` seeds the accelerators too, which takes a millisecond a draw.
            torch.default_generator.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            return {name: one.sample() for name, one in self.distributions(skeleton, torch.zeros(1)).items()}

    def log_prob(self, skeleton: Skeleton, weights: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Log-density of all weights, `[*shape]` by parameter, a scalar."""
        priors = self.distributions(skeleton, like)
        return torch.stack([prior.log_prob(weights[name]) for name, prior in priors.items()]).sum()

    def precision(self, skeleton: Skeleton, like: Tensor) -> dict[str, Tensor]:
        """Minus the second derivative of the log-density in each weight, `[*shape]` by parameter.

        Raises `InputError` for a prior in which it is not constant.
        """
        priors = self.distributions(skeleton, like)
        return {name: prior.variance.reciprocal() for name, prior in priors.items()}


class NormalWeights(WeightPrior):
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

    def record(self) -> dict[str, Any]:
        """What `of_record` makes it from again."""
        return {"name": "normal", "scale": self.scale, "kind": self.kind}

    @classmethod
    def of_record(cls, record: object) -> "NormalWeights | None":
        """The prior that a posterior was kept with, None where it is another one or not told."""
        if not isinstance(record, Mapping) or record.get("name") != "normal":
            return None
        return cls(float(record["scale"]), str(record["kind"]))

    def distributions(self, skeleton: Skeleton, like: Tensor) -> dict[str, TorchDistributionMixin]:
        """One distribution a parameter, in the dtype and on the device of `like`."""
        result: dict[str, TorchDistributionMixin] = {}
        for name, shape in skeleton.shapes.items():
            loc = 1.0 if is_gain(skeleton, name) else 0.0
            scale = self.scale / math.sqrt(fan_in(shape)) if self.kind == "fan_in" else self.scale
            result[name] = SharedNormal(loc, scale, shape, like)
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


class SharedNormal(TorchDistribution):
    """Independent normals on a tensor of `shape`, all of one location and scale, as one event.

    The same as `Normal(loc, scale).expand(shape).to_event()` with the constants left out of the graph: a third of its
    operations, which is most of what a weight prior costs.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_rsample = True

    def __init__(
        self, loc: float, scale: float, shape: torch.Size, like: Tensor, batch_shape: torch.Size = _SINGLE
    ) -> None:
        super().__init__(batch_shape, shape, validate_args=False)
        self.loc = loc
        self.scale = scale
        self.like = like

    @property
    def support(self) -> Constraint:
        """All real tensors of the shape."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Shape, _instance: object = None) -> "SharedNormal":
        """The same, `batch_shape` times."""
        return SharedNormal(self.loc, self.scale, self.event_shape, self.like, torch.Size(batch_shape))

    def rsample(self, sample_shape: Shape = _SINGLE) -> Tensor:
        """Draws `[*sample_shape, *batch_shape, *shape]`, in the dtype and on the device of `like`."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.loc + self.scale * torch.randn(shape, dtype=self.like.dtype, device=self.like.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of values `[..., *shape]`, `[...]`."""
        deviation = value - self.loc if self.loc else value
        dims = tuple(range(-len(self.event_shape), 0))
        squares = deviation.square().sum(dims) if dims else deviation.square()
        constant = self.event_shape.numel() * (math.log(self.scale) + 0.5 * math.log(2 * math.pi))
        return squares * (-0.5 / self.scale**2) - constant

    @property
    def mean(self) -> Tensor:
        """`[*batch_shape, *shape]`."""
        return self.like.new_full(self._extended_shape(), self.loc)

    @property
    def variance(self) -> Tensor:
        """`[*batch_shape, *shape]`."""
        return self.like.new_full(self._extended_shape(), self.scale**2)


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
