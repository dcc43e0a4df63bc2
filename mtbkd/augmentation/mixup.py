"""Inputs between two others (Zhang et al., ICLR 2018), labelled by the teachers."""

from dataclasses import dataclass

import numpy as np
import torch

from mtbkd.augmentation.added_rows import added_rows, check_choices
from mtbkd.augmentation.raw_inputs import raw_deviation
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError, require_positive


@dataclass(frozen=True)
class MixupConfig:
    """copies: mixtures that each input begins; alpha: of Beta(alpha, alpha), its share: 1 uniform, near 0 few mixed."""

    copies: int = 1
    alpha: float = 0.4

    def __post_init__(self) -> None:
        check_choices(self.copies)
        require_positive(**{"augmentation.alpha": self.alpha})


def mixup(config: MixupConfig, data: DistillationData, rng: np.random.Generator) -> Rows:
    """Mixtures `[copies * n, ...]` of each row i with another row j of the pool.

        x = a x_i + (1 - a) x_j,   a ~ Beta(alpha, alpha),   j != i

    Labels are not mixed: the student's likelihood takes a class. The label is kept where both rows have the same, else
    the row is unlabelled, and the teachers speak of the mixed input itself, not of a mixture of what they say of i and
    j. Raw inputs are mixed where they are the same numbers before standardisation, and no longer known otherwise.
    Raises `InputError` for a pool of one row.
    """
    pool = data.pool
    n = len(pool)
    if n < 2:
        raise InputError("augmentation 'mixup': the pool has one row; two are needed to mix")
    first = np.tile(np.arange(n), config.copies)
    second = np.concatenate([others(n, rng) for _ in range(config.copies)])
    share = rng.beta(config.alpha, config.alpha, len(first))

    def mixed(values: np.ndarray) -> np.ndarray:
        a = share.reshape(-1, *[1] * (values.ndim - 1))
        return a * values[first] + (1 - a) * values[second]

    x = torch.from_numpy(mixed(pool.x.numpy()).astype(np.float32))
    y = torch.where(pool.y[first] == pool.y[second], pool.y[first], -1)
    raw = None
    if pool.raw is not None and raw_deviation(data) is not None:
        raw = mixed(pool.raw).astype(np.result_type(pool.raw, np.float32))
    return added_rows(pool, "mixup", config.copies, x, y, raw)


def others(n: int, rng: np.random.Generator) -> np.ndarray:
    """A partner of each of n rows `[n]`, never itself, each row the partner of one other: all rows on one ring."""
    ring = rng.permutation(n)
    partner = np.empty(n, np.int64)
    partner[ring] = np.roll(ring, -1)
    return partner
