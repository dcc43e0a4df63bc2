"""The less sure a teacher is of an input, the higher its temperature there.

    tau_m(x) = lower + (upper - lower) H_m(x) / log K

Our reading of ATMKD (DOI 10.1007/s00530-024-01483-w), whose temperature adapts to each teacher's confidence. Of the
teacher only: one q for all, else the teachers' densities live in different spaces.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.errors import InputError, require_positive
from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class AdaptiveTemperatureConfig:
    """lower: temperature where a teacher is sure; upper: where all classes are the same to it."""

    lower: float = 1.0
    upper: float = 4.0

    def __post_init__(self) -> None:
        require_positive(**{"temperature.lower": self.lower, "temperature.upper": self.upper})
        if self.lower > self.upper:
            raise InputError(
                f"temperature.lower is {self.lower}, above temperature.upper {self.upper}; exchange them"
            )


def adaptive_temperature(
    bank: TeacherBank, labels: Tensor | None = None, lower: float = 1.0, upper: float = 4.0
) -> Tensor:
    """Temperatures `[M, N]`, by the entropy H_m of each teacher's (mean) probabilities at temperature 1.

    K counts the classes that the teacher knows; where it knows but one, its temperature changes nothing and is `lower`.
    Fixed for all engines: nothing is learned, and labels are not used.
    """
    count = torch.full((bank.num_teachers,), bank.num_classes)
    if bank.classes is not None:
        count = bank.classes.sum(-1)
    largest = count.float().log()[:, None]
    unsure = torch.special.entr(bank.mean_probs()).sum(-1) / torch.where(largest > 0, largest, 1.0)
    return lower + (upper - lower) * unsure.clamp(0, 1)
