"""Which rows a step sees."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.density import Batch, Density


@dataclass(frozen=True)
class Shuffle:
    """An epoch's order of the rows `[N]`, and how many of them were seen; None until the first batch is taken."""

    order: Tensor | None = None
    position: int = 0


def take(
    shuffle: Shuffle, density: Density, batch_size: int | None, generator: torch.Generator
) -> tuple[Batch | None, Shuffle]:
    """The next batch, and what is left of the epoch.

    All rows each time (None: as the density's execution has them), or shuffled epochs of mini-batches of one size; the
    rest of an epoch is left out, so that one graph serves all.
    """
    if batch_size is None or batch_size >= density.num_rows:
        return None, shuffle
    order, first = shuffle.order, shuffle.position
    if order is None or first + batch_size > len(order):
        order, first = torch.randperm(density.num_rows, generator=generator), 0
    last = first + batch_size
    return density.batch(order[first:last].to(density.device)), Shuffle(order, last)


def steps_per_epoch(density: Density, batch_size: int | None) -> int:
    """How many batches one pass over the rows has."""
    return 1 if batch_size is None else max(1, density.num_rows // batch_size)
