"""A shared body and one head a teacher, as Hydra has it (Tran et al. 2020, arXiv 2001.04694).

    q_m = softmax(head_m(body(x))),    prediction = 1 / M sum_m q_m

With `prior=heads` each head is distilled from its own teacher alone; labels act on the prediction.
"""

import math
from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtbkd.errors import require_positive
from mtbkd.students.mlp import ACTIVATIONS, MLPConfig
from mtbkd.students.spec import NetworkSpec


@dataclass(frozen=True)
class HeadsConfig(MLPConfig):
    """heads: one a teacher; hidden: widths of the body; the rest as the `mlp` has it."""

    name: str = "heads"
    heads: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(**{"student.heads": self.heads})


class Heads(nn.Module):
    """A perceptron as body, linear heads: inputs of any shape to the log of the heads' mean probabilities, `[n, K]`.

    heads: the layer of that name gives all heads' logits, `[n, M * K]`, the first head's first
    """

    def __init__(self, config: HeadsConfig, input_shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        widths = [math.prod(input_shape), *config.hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[config.activation]()]
        self.body = nn.Sequential(*layers)
        self.heads = nn.Linear(widths[-1], config.heads * num_classes)
        self.num_heads = config.heads
        self.spec = NetworkSpec("heads", asdict(config), tuple(input_shape), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.heads(self.body(torch.flatten(x, 1)))
        log_probs = torch.log_softmax(outputs.unflatten(-1, (self.num_heads, -1)), -1)
        return torch.logsumexp(log_probs, -2) - math.log(self.num_heads)


def build(config: HeadsConfig, input_shape: tuple[int, ...], num_classes: int) -> Heads:
    """The network that the configuration names."""
    return Heads(config, input_shape, num_classes)
