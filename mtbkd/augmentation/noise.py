"""Inputs with normal noise on every number."""

from dataclasses import dataclass

import numpy as np
import torch

from mtbkd.augmentation.added_rows import added_rows, check_choices, labels_of, repeated
from mtbkd.augmentation.raw_inputs import in_raw_layout, raw_deviation
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError, require_positive


@dataclass(frozen=True)
class NoiseConfig:
    """copies: noisy copies of each input; scale: sd of the noise, in standard deviations of the inputs; labels: `keep`
    or `drop`."""

    copies: int = 1
    scale: float = 0.1
    labels: str = "drop"

    def __post_init__(self) -> None:
        check_choices(self.copies, self.labels)
        require_positive(**{"augmentation.scale": self.scale})


def noise(config: NoiseConfig, data: DistillationData, rng: np.random.Generator) -> Rows:
    """Copies x + scale * e `[copies * n, ...]` with e standard normal, independent in every number.

    Raw inputs that are the same numbers before standardisation get the same noise in their own units; others are
    no longer known. Raises `InputError` for features of sequences, which no sequence would have.
    """
    pool = data.pool
    if data.kind == "sequence":
        raise InputError(
            f"augmentation 'noise': the inputs of data '{data.name}' are features of sequences, which hang together; "
            "choose augmentation=crop, which cuts the sequences themselves, or mixup"
        )
    shape = (config.copies * len(pool), *data.input_shape)
    added = config.scale * torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    x = torch.from_numpy(repeated(pool.x.numpy(), config.copies)) + added
    raw, sd = None, raw_deviation(data)
    if pool.raw is not None and sd is not None:
        raw = repeated(pool.raw, config.copies) + (sd * in_raw_layout(added, pool.raw)).astype(np.float32)
    labels = labels_of(pool, config.copies, config.labels)
    return added_rows(pool, "noise", config.copies, x, labels, raw)
