"""What a change of the student's inputs is in the raw ones, where those are the same numbers not standardised."""

import numpy as np
from torch import Tensor

from mtbkd.data.distillation import DistillationData

# Rows by which the standard deviation of an image's channel is read off.
_IMAGES = 2048
# How far a raw input may be from what its standardised one says, in standard deviations.
_TOLERANCE = 1e-3


def raw_deviation(data: DistillationData) -> np.ndarray | None:
    """sd of `raw = mean + sd * x`, of each column `[D]` or channel `[]` or `[C]`.

    None where no mean and sd make the pool's raw inputs out of its inputs: texts, categories, filled gaps, sequences.
    """
    pool = data.pool
    if pool.raw is None or pool.raw.ndim < 2 or pool.raw.dtype.kind not in "biuf":
        return None
    if pool.raw[0].size != pool.x[0].numel():
        return None
    rows = slice(None) if pool.raw.ndim == 2 else slice(_IMAGES)
    axes = (0,) if pool.raw.ndim == 2 else (0, 1, 2)
    raw = pool.raw[rows].astype(np.float64)
    x = in_raw_layout(pool.x[rows], pool.raw).astype(np.float64)
    spread = x.std(axes)
    sd = np.where(spread > 0, raw.std(axes) / np.where(spread > 0, spread, 1), 1.0)
    mean = raw.mean(axes) - sd * x.mean(axes)
    away = np.abs(mean + sd * x - raw) / np.where(sd > 0, sd, 1)
    return sd if bool((away < _TOLERANCE).all()) else None  # not where there is a NaN


def in_raw_layout(x: Tensor, raw: np.ndarray) -> np.ndarray:
    """`x` `[n, D]` or `[n, C, H, W]` with the axes of raw inputs: `[n, D]`, `[n, H, W]` or `[n, H, W, C]`."""
    channels_last = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
    return channels_last.reshape(len(x), *raw.shape[1:]).numpy()
