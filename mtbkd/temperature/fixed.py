"""All teachers at one given temperature."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import require_positive
from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class FixedConfig:
    """value: the temperature that every teacher's logits are divided by; 1 leaves them as they are."""

    value: float = 1.0

    def __post_init__(self) -> None:
        require_positive(**{"temperature.value": self.value})


def fixed(bank: TeacherBank, labels: Tensor | None = None, value: float = 1.0) -> Tensor:
    """Temperatures `[M]`, all `value`; labels are not used."""
    return torch.full((bank.num_teachers,), value)
