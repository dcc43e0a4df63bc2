"""Every teacher counts the same at every input (AVER)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.teachers.bank import TeacherBank


@dataclass(frozen=True)
class UniformConfig:
    """Nothing to choose."""


def uniform(bank: TeacherBank, labels: Tensor | None = None) -> Tensor:
    """Weights `[N, M]`, all w_m = 1 / M."""
    return torch.full((bank.num_rows, bank.num_teachers), 1 / bank.num_teachers)
