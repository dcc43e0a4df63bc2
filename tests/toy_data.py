"""Small data sets whose raw inputs are known: 100 + 50 x of pictures, column by column of vectors."""

import dataclasses

import numpy as np
import torch

from mtbkd.data.arrays import from_arrays
from mtbkd.data.distillation import DistillationData, Rows


def pictures(n: int = 6, channels: int = 1, flat: bool = False) -> DistillationData:
    """n pictures of 8 x 8 whole pixels, standardised; `[n, 64]` where flat; the last is unlabelled."""
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 200, (n, 8, 8, channels)).astype(np.uint8)
    x = torch.from_numpy(((raw - 100.0) / 50).astype(np.float32)).permute(0, 3, 1, 2).contiguous()
    x = x.flatten(1) if flat else x
    data = from_arrays(x, labels(n), name="toy", kind="vector" if flat else "image")
    return _with_raw(data, raw[..., 0] if channels == 1 else raw)


def vectors(n: int = 6, raw: np.ndarray | None = None) -> DistillationData:
    """n rows of two columns, raw the same in other units unless given; the last is unlabelled."""
    x = np.random.default_rng(1).normal(size=(n, 2)).astype(np.float32)
    data = from_arrays(x, labels(n), name="toy")
    return _with_raw(data, x.astype(np.float64) * [3.0, 0.5] + [10.0, -1.0] if raw is None else raw)


def labels(n: int) -> np.ndarray:
    """0, 1, 2, 0, 1, ..., and -1 at the end."""
    return np.append(np.arange(n - 1) % 3, -1)


def _with_raw(data: DistillationData, raw: np.ndarray) -> DistillationData:
    pool: Rows = dataclasses.replace(data.pool, raw=raw)
    return dataclasses.replace(data, pool=pool)
