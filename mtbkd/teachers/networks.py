"""Networks of teachers that the run trains: M members at once, inputs `[M, n, ...]` to logits `[M, n, K]`."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtbkd.errors import InputError


class StackedMLP(nn.Module):
    """M multilayer perceptrons with ReLU as one: every layer is one batched matrix product."""

    def __init__(
        self, members: int, input_shape: Sequence[int], hidden: Sequence[int], num_classes: int
    ) -> None:
        super().__init__()
        self.num_members = members
        self.features = math.prod(input_shape)
        widths = list(pairwise([self.features, *hidden, num_classes]))
        # torch.nn.Linear's own start, U(-1/sqrt(d), 1/sqrt(d)).
        self.weights = nn.ParameterList(
            torch.empty(members, d, h).uniform_(-1, 1) / d**0.5 for d, h in widths
        )
        self.biases = nn.ParameterList(torch.empty(members, 1, h).uniform_(-1, 1) / d**0.5 for d, h in widths)

    def forward(self, x: Tensor) -> Tensor:
        h = x.reshape(*x.shape[:2], self.features)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, torch.relu(h) if layer else h, weight)
        return h

    def member(self, m: int) -> nn.Sequential:
        """One perceptron, as a network of its own: flattening, then linear layers with ReLU between them."""
        layers: list[nn.Module] = [nn.Flatten()]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[2])  # draws no weights
            linear.weight, linear.bias = nn.Parameter(weight[m].detach().T), nn.Parameter(bias[m, 0].detach())
            layers += [linear, nn.ReLU()]
        return nn.Sequential(*layers[:-1])


class CNNs(nn.Module):
    """M convolutional networks: per width a 3x3 convolution, ReLU and 2x2 pooling, then a perceptron.

    One after the other: on a CPU convolutions with stacked weights are slower than the loop.
    """

    def __init__(
        self,
        members: int,
        input_shape: Sequence[int],
        channels: Sequence[int],
        hidden: Sequence[int],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.num_members = members
        if len(input_shape) != 3 or min(input_shape[1:]) < 2 ** len(channels):
            raise InputError(
                f"network 'cnn' with {len(channels)} channels halves images [C, H, W] {len(channels)} times; "
                f"the inputs have shape {list(input_shape)}: list fewer channels or use network 'mlp'"
            )
        self.members = nn.ModuleList(_cnn(input_shape, channels, hidden, num_classes) for _ in range(members))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(batch) for member, batch in zip(self.members, x, strict=True)])

    def member(self, m: int) -> nn.Module:
        """One network."""
        return self.members[m]


def _cnn(
    input_shape: Sequence[int], channels: Sequence[int], hidden: Sequence[int], num_classes: int
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([input_shape[0], *channels]):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    shrink = 2 ** len(channels)
    width = ([input_shape[0], *channels][-1]) * (input_shape[1] // shrink) * (input_shape[2] // shrink)
    for inputs, outputs in pairwise([width, *hidden]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear([width, *hidden][-1], num_classes))
