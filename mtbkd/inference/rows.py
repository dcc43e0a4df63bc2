"""Which rows a step sees."""

from collections.abc import Iterator

import torch

from mtbkd.density import Batch, Density


def batches(density: Density, batch_size: int | None, generator: torch.Generator) -> Iterator[Batch]:
    """Endless batches: all rows each time, or shuffled epochs of mini-batches of one size (the rest of an epoch is
    left out, so that one graph serves all)."""
    if batch_size is None or batch_size >= density.num_rows:
        while True:
            yield density.full
    while True:
        order = torch.randperm(density.num_rows, generator=generator)
        for first in range(0, density.num_rows - batch_size + 1, batch_size):
            yield density.batch(order[first : first + batch_size])


def steps_per_epoch(density: Density, batch_size: int | None) -> int:
    """How many batches one pass over the rows has."""
    return 1 if batch_size is None else max(1, density.num_rows // batch_size)
