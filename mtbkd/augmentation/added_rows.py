"""Rows made from the pool's: their names and labels, and how they join it."""

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import Rows
from mtbkd.errors import require_at_least, require_choice


def check_choices(copies: int, labels: str = "drop") -> None:
    """Raise `InputError` unless there is a copy at least and `labels` is keep or drop."""
    require_at_least(1, **{"augmentation.copies": copies})
    require_choice("augmentation.labels", labels, ("keep", "drop"))


def added_rows(pool: Rows, name: str, copies: int, x: Tensor, y: Tensor, raw: np.ndarray | None) -> Rows:
    """`copies` of each row of the pool, the whole pool once, then again; named "17+shift1" of row "17".

    x, y, raw: of the `copies * len(pool)` rows, in that order
    """
    ids = [np.char.add(pool.ids.astype(str), f"+{name}{copy}") for copy in range(1, copies + 1)]
    return Rows(x, y, np.concatenate(ids), torch.full((len(x),), -1, dtype=pool.index.dtype), raw)


def repeated(values: np.ndarray, copies: int) -> np.ndarray:
    """`[copies * n, ...]`: all of `values` `[n, ...]`, then all again."""
    return np.concatenate([values] * copies)


def labels_of(pool: Rows, copies: int, labels: str) -> Tensor:
    """Labels `[copies * n]`: those of the rows that the copies were made from (`keep`), or none (`drop`)."""
    return pool.y.repeat(copies) if labels == "keep" else torch.full((copies * len(pool),), -1)


def joined(pool: Rows, added: Rows) -> Rows:
    """The pool, then the added rows; without raw inputs where those of one of them are not known."""
    raw = None
    if pool.raw is not None and added.raw is not None:
        raw = np.concatenate([pool.raw, added.raw])
    return Rows(
        torch.cat([pool.x, added.x]),
        torch.cat([pool.y, added.y]),
        np.concatenate([pool.ids, added.ids]),
        torch.cat([pool.index, added.index]),
        raw,
    )
