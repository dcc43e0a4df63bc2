"""Which labelled rows a teacher trained by the run sees: teachers on different shares know different things."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.distillation import DistillationData
from mtbkd.errors import InputError
from mtbkd.teachers.coverage import Columns
from mtbkd.teachers.inputs import viewed


def check_share(share: Sequence[float]) -> None:
    """Raise `InputError` unless `share` is an interval [lo, hi] with 0 <= lo < hi <= 1."""
    if len(share) != 2 or not 0 <= share[0] < share[1] <= 1:
        raise InputError(f"share is {list(share)}; give an interval [lo, hi] with 0 <= lo < hi <= 1")


def training_rows(
    name: str,
    data: DistillationData,
    share: Sequence[float],
    seed: int,
    classes: Sequence[str] = (),
    view: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Inputs `[n, ...]` and labels `[n]` of the interval `share` of the rows with teacher labels: the pool's, or those
    that the data keep for teachers.

    The rows are permuted by `seed` first, the same permutation for every teacher of a run, so that shares
    which overlap overlap exactly. classes: names of those whose rows alone it sees, none named: all; view: of the
    inputs, None: x. Raises `InputError` for an unknown class or view, and where fewer than two classes are left.
    """
    source = data.pool if data.teaching is None else data.teaching
    labels = data.teacher_y if data.teaching is None else data.teaching.y
    known = (labels >= 0).nonzero().flatten().numpy()
    order = np.random.default_rng(seed).permutation(known)
    lo, hi = (round(edge * len(order)) for edge in share)
    rows = torch.from_numpy(np.sort(order[lo:hi]))
    y = labels[rows]
    if classes:
        own = Columns.named(f"teacher '{name}'", classes, data.class_names)
        rows = rows[torch.isin(y, torch.tensor(own.classes))]
        y = labels[rows]
    if len(y.unique()) < 2:
        raise InputError(
            f"teacher '{name}': share {list(share)} of the {len(known)} labelled rows holds {len(rows)} rows "
            f"of {len(y.unique())} classes; give it a wider share, or the data more teacher labels"
        )
    return viewed(name, source, view)[rows], y
