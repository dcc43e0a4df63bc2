"""The pool as it is."""

from dataclasses import dataclass

import numpy as np
import torch

from mtbkd.data.distillation import DistillationData, Rows


@dataclass(frozen=True)
class NoneConfig:
    """Nothing to choose."""


def none(config: NoneConfig, data: DistillationData, rng: np.random.Generator) -> Rows:
    """No rows."""
    return data.pool.take(torch.empty(0, dtype=torch.int64))
