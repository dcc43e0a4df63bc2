"""A small convolutional network with GroupNorm."""

from dataclasses import asdict, dataclass, field

from torch import nn

from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.students.mlp import ACTIVATIONS
from mtbkd.students.posterior_prior import POOLS
from mtbkd.students.spec import NetworkSpec


@dataclass(frozen=True)
class CNNConfig:
    """channels: one 3x3 convolution, GroupNorm, activation and 2x2 pooling each, then the mean over positions and a
    linear head; groups: of the GroupNorm; the rest as for every student."""

    name: str = "cnn"
    channels: list[int] = field(default_factory=lambda: [32, 64, 96])
    groups: int = 8
    activation: str = "relu"
    prior_scale: float = 1.0
    prior_kind: str = "fan_in"
    prior_from: list[str] = field(default_factory=list)
    prior_pool: str = "product"
    prior_widen: float = 1.0
    bayesian: str = "all"

    def __post_init__(self) -> None:
        require_positive(**{"student.groups": self.groups})
        for width in self.channels:
            require_positive(**{"student.channels": width})
            if width % self.groups:
                raise InputError(
                    f"student.channels: {width} is not a multiple of student.groups = {self.groups}"
                )
        if not self.channels:
            raise InputError("student.channels is empty; give at least one width")
        require_choice("student.activation", self.activation, ACTIVATIONS)
        require_choice("student.prior_kind", self.prior_kind, ("fixed", "fan_in"))
        require_positive(**{"student.prior_scale": self.prior_scale})
        require_choice("student.prior_pool", self.prior_pool, POOLS)
        require_at_least(1, **{"student.prior_widen": self.prior_widen})


class CNN(nn.Sequential):
    """Convolution blocks, global mean, linear head: inputs `[n, C, H, W]` to logits `[n, K]`."""

    def __init__(self, config: CNNConfig, input_shape: tuple[int, ...], num_classes: int) -> None:
        if len(input_shape) != 3:
            raise InputError(
                f"student 'cnn' takes images [C, H, W]; the inputs have shape {list(input_shape)}"
            )
        smallest = 2 ** len(config.channels)
        if min(input_shape[1:]) < smallest:
            raise InputError(
                f"student 'cnn' halves the image {len(config.channels)} times, which needs {smallest} pixels a side; "
                f"the images are {input_shape[1]} x {input_shape[2]}: list fewer channels"
            )
        layers: list[nn.Module] = []
        for inputs, outputs in zip([input_shape[0], *config.channels], config.channels, strict=False):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.GroupNorm(config.groups, outputs),
                ACTIVATIONS[config.activation](),
                nn.MaxPool2d(2),
            ]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(config.channels[-1], num_classes)]
        super().__init__(*layers, *head)
        self.spec = NetworkSpec("cnn", asdict(config), tuple(input_shape), num_classes)


def build(config: CNNConfig, input_shape: tuple[int, ...], num_classes: int) -> CNN:
    """The network that the configuration names."""
    return CNN(config, input_shape, num_classes)


def cnn(input_shape: tuple[int, int, int], channels: list[int], num_classes: int) -> CNN:
    """A convolutional network from `[C, H, W]` images to `num_classes` logits."""
    return CNN(CNNConfig(channels=list(channels)), input_shape, num_classes)
