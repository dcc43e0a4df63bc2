"""Hints: named layers of the student are drawn to layers of the teachers, each through a learned projector.

After FitNets (Romero et al., ICLR 2015, equation 3); here the regression is a factor of the student's Pyro model and
its projectors are latents of it, so that every engine infers both (see transfer.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtbkd.errors import InputError, require_at_least, require_positive
from mtbkd.features.transfer import FeatureTransfer
from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class HintsConfig:
    """layers: `{teacher: {its layer: the student's layer}}`, module paths; strength: alpha, on every hint;
    projector_scale: standard deviation of a projector's weights, times the root of its inputs."""

    name: str = "hints"
    layers: dict[str, Any] = field(default_factory=dict)
    strength: float = 1.0
    projector_scale: float = 1.0

    def __post_init__(self) -> None:
        require_at_least(0, **{"features.strength": self.strength})
        require_positive(**{"features.projector_scale": self.projector_scale})
        for teacher, layers in self.layers.items():
            if not isinstance(layers, Mapping) or not layers:
                raise InputError(
                    f"features.layers.{teacher} is {layers}; write {{its layer: the student's layer}}"
                )

    @property
    def pairs(self) -> Mapping[str, Mapping[str, str]]:
        """`layers` as text: a layer of an `nn.Sequential` is a number to YAML."""
        return {
            teacher: {str(own): str(students) for own, students in layers.items()}
            for teacher, layers in self.layers.items()
        }


def build(config: HintsConfig, bank: TeacherBank) -> FeatureTransfer:
    """The hints that the configuration names; the bank holds the teachers' features."""
    return FeatureTransfer(bank, config.pairs, config.strength, config.projector_scale)
