"""A multilayer perceptron."""

import math
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtbkd.errors import require_at_least, require_choice, require_positive
from mtbkd.students.posterior_prior import POOLS
from mtbkd.students.spec import NetworkSpec

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class MLPConfig:
    """hidden: width of each hidden layer; the rest is every student's: the weight prior's standard deviation and
    kind (`fixed` or by `fan_in`), or the saved posteriors that it is made of, their pool and by how much it is widened
    (see posterior_prior.py); and which layers are Bayesian ('all', 'last')."""

    name: str = "mlp"
    hidden: list[int] = field(default_factory=lambda: [32])
    activation: str = "relu"
    prior_scale: float = 3.0
    prior_kind: str = "fan_in"
    prior_from: list[str] = field(default_factory=list)
    prior_pool: str = "product"
    prior_widen: float = 1.0
    bayesian: str = "all"

    def __post_init__(self) -> None:
        for width in self.hidden:
            require_positive(**{"student.hidden": width})
        require_choice("student.activation", self.activation, ACTIVATIONS)
        require_choice("student.prior_kind", self.prior_kind, ("fixed", "fan_in"))
        require_positive(**{"student.prior_scale": self.prior_scale})
        require_choice("student.prior_pool", self.prior_pool, POOLS)
        require_at_least(1, **{"student.prior_widen": self.prior_widen})


class MLP(nn.Sequential):
    """Linear layers with an activation between them; inputs of any shape are flattened.

    spec: how to build it again, stored with its posterior.
    """

    def __init__(self, config: MLPConfig, input_shape: tuple[int, ...], num_classes: int) -> None:
        widths = [math.prod(input_shape), *config.hidden, num_classes]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[config.activation]()]
        super().__init__(*layers[:-1])
        self.spec = NetworkSpec("mlp", asdict(config), tuple(input_shape), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.flatten(x, 1))


def build(config: MLPConfig, input_shape: tuple[int, ...], num_classes: int) -> MLP:
    """The network that the configuration names."""
    return MLP(config, input_shape, num_classes)


def mlp(num_inputs: int, hidden: list[int], num_classes: int, activation: str = "relu") -> MLP:
    """A perceptron from `num_inputs` through the hidden widths to `num_classes` logits."""
    return MLP(MLPConfig(hidden=list(hidden), activation=activation), (num_inputs,), num_classes)
