"""What every stage after the data sees: rows, splits, names."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from mtbkd.data.table_encoding import TableEncoding
from mtbkd.errors import InputError

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Rows:
    """Inputs with what is known of them.

    x: `[n, ...]` float32, standardised, what networks see
    y: `[n]` int64 class indices, -1 where unlabelled
    ids: `[n]` unicode, a name for each input (its accession, its file, else its row number in the source)
    index: `[n]` int64, the row number in the source, by which predictions on disk without ids are matched; -1 for a row
        that augmentation made, which is in no source
    raw: `[n, ...]` or None, the inputs before any transformation, for people to look at
    views: other inputs of the same rows that teachers may be shown in place of x, by name, each `[n, ...]` float32
    table: or None, `[n]` rows of the columns of the source as they were read, for teachers that were fitted to a table
    truth: or None, `[n, K]` float64, the class probabilities that y was drawn from, where they are known; nothing is
        fitted to them
    """

    x: Tensor
    y: Tensor
    ids: np.ndarray
    index: Tensor
    raw: np.ndarray | None = None
    views: dict[str, Tensor] = field(default_factory=dict)
    table: "pandas.DataFrame | None" = None
    truth: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> "Rows":
        """The given rows (`[k]` int64), in that order."""
        position = rows.numpy()
        raw = None if self.raw is None else self.raw[position]
        views = {name: view[rows] for name, view in self.views.items()}
        table = None if self.table is None else self.table.iloc[position]
        truth = None if self.truth is None else self.truth[rows]
        return Rows(
            self.x[rows], self.y[rows], self.ids[position], self.index[rows], raw, views, table, truth
        )

    @property
    def made(self) -> Tensor:
        """`[n]` bool: rows that augmentation made of others."""
        return self.index < 0

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the inputs, in order: what a teacher's cached predictions belong to."""
        return hash_inputs(self.x)


@dataclass(frozen=True)
class DistillationData:
    """One distillation problem.

    pool: what the student is fitted to; `y` is -1 where the student may not see the label
    teacher_y: `[len(pool)]` labels that teachers trained by the run may see (-1 unknown): teachers come
        from richer labelled data than the student
    teaching: rows, with labels, that these teachers learn from instead of the pool, None where they learn from it
    validation: labelled rows that nothing is fitted to: calibration of teachers, every choice
    test: labelled rows for the report, nothing is ever chosen on them
    ood: out-of-distribution inputs, or None; their `y` is not used; ood_name: what they are, in words
    class_names: K names
    kind: what an input is, for the default network and for the report
    supplied: predictions that came with the data, `{teacher: {split: logits [n, K] or [S, n, K]}}`
    drawn: the splits whose rows were drawn by chance from the pool's source: a teacher brought from elsewhere may have
        been trained on them
    encoding: how columns became x, where the source is a table
    feature_names: of the columns of `raw`, where they have names
    encode: inputs `[n, ...]` made of other raw ones `[n]`, by the pool's statistics; None where the source cannot
    """

    name: str
    pool: Rows
    validation: Rows
    test: Rows
    class_names: tuple[str, ...]
    teacher_y: Tensor
    ood: Rows | None = None
    ood_name: str = "rows marked ood in the data"
    kind: Literal["vector", "image", "sequence"] = "vector"
    supplied: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()
    encoding: TableEncoding | None = None
    feature_names: tuple[str, ...] | None = None
    encode: Callable[[np.ndarray], Tensor] | None = None
    teaching: Rows | None = None

    @property
    def num_classes(self) -> int:
        """Classes, K."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.pool.x.shape[1:])

    @property
    def splits(self) -> dict[str, Rows]:
        """The splits that have rows, by name."""
        named = {"pool": self.pool, "validation": self.validation, "test": self.test, "ood": self.ood}
        return {name: rows for name, rows in named.items() if rows is not None and len(rows)}

    def __post_init__(self) -> None:
        k = self.num_classes
        if len(self.pool) == 0:
            raise InputError(f"data '{self.name}': the distillation pool is empty; give at least one row")
        if k < 2:
            raise InputError(
                f"data '{self.name}': {k} class ({', '.join(self.class_names)}); at least 2 are needed"
            )
        for split, rows in self.splits.items():
            check_finite(f"data '{self.name}', {split}", rows.x)
            for view, values in rows.views.items():
                check_finite(f"data '{self.name}', {split}, view '{view}'", values)
            if split != "ood":
                check_labels(f"data '{self.name}', {split}", rows.y, k)
        check_labels(f"data '{self.name}', teacher labels", self.teacher_y, k)

    def with_pool_labels(self, y: Tensor) -> "DistillationData":
        """The same data with other labels visible to the student."""
        return dataclasses.replace(self, pool=dataclasses.replace(self.pool, y=y))


def check_labels(what: str, y: Tensor, num_classes: int) -> None:
    """Raise `InputError` for a label outside -1..K-1, naming row and value."""
    bad = ((y < -1) | (y >= num_classes)).nonzero().flatten()
    if len(bad):
        row = int(bad[0])
        raise InputError(
            f"{what}: label {int(y[row])} at row {row} is outside 0..{num_classes - 1}; "
            "use class indices, -1 for unlabelled"
        )


def check_finite(what: str, x: Tensor) -> None:
    """Raise `InputError` for NaN or infinite inputs, naming the row."""
    if not bool(torch.isfinite(x).all()):
        row = int((~torch.isfinite(x.flatten(1))).any(1).nonzero()[0])
        raise InputError(f"{what}: row {row} has a NaN or infinite value; impute or drop it")


def hash_inputs(x: Tensor) -> str:
    """SHA-256 of a tensor's shape, dtype and bytes."""
    array = np.ascontiguousarray(x.detach().cpu().numpy())
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.data)
    return digest.hexdigest()
