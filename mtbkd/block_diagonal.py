"""Matrices of rows whose parts are apart: `torch.block_diag` for batches."""

from collections.abc import Sequence

import torch
from torch import Tensor


def block_diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """Square blocks `[n, r_b, r_b]` along the diagonal of `[n, R, R]`, R the sum of the r_b; 0 elsewhere."""
    total = sum(block.shape[-1] for block in blocks)
    rows, before = [], 0
    for block in blocks:
        size = block.shape[-1]
        rows.append(torch.nn.functional.pad(block, (before, total - before - size)))
        before += size
    return torch.cat(rows, -2)
