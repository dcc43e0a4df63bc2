"""What feature columns go through before a student sees them, with statistics of the pool alone.

A weight prior treats all columns alike, so their scales are part of the prior: a kind of feature with many columns
outvotes one with few, and a rare feature that is standardised becomes a lever.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtbkd.data.assembly import standardise


@dataclass(frozen=True)
class Block:
    """Neighbouring columns of one kind: how many, and what they are multiplied by once standardised."""

    name: str
    size: int
    scale: float = 1.0


def balance(x: np.ndarray, pool: np.ndarray, blocks: Sequence[Block], limit: float) -> np.ndarray:
    """`x` `[n, D]` standardised on its rows `pool`, cut at +-`limit` and multiplied by each block's scale; float32.

    A column that is constant in the pool becomes 0 everywhere: the pool cannot tell what it means.
    """
    constant = x[pool].std(0) <= 1e-6
    scale = np.repeat([b.scale for b in blocks], [b.size for b in blocks])
    cut = standardise(x, pool).clip(-limit, limit)
    return np.where(constant, 0.0, cut * scale).astype(np.float32)


def rotate(x: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """`x` `[n, D]` less the pool's mean, on the principal axes of its rows `pool`, largest first; float32.

    All D axes are kept, so distances are: under independent normal weights of one scale the model is the same, but
    its posterior is closer to axis-aligned, which diagonal guides and diagonal masses fit.
    """
    inside = x[pool].astype(np.float64)
    mean = inside.mean(0)
    _, axes = np.linalg.eigh((inside - mean).T @ (inside - mean))
    axes = axes[:, ::-1]
    # An eigenvector's sign is arbitrary; its largest entry made positive gives the same columns everywhere.
    largest = np.abs(axes).argmax(0)
    axes = axes * np.sign(axes[largest, np.arange(len(mean))])
    return ((x - mean) @ axes).astype(np.float32)
