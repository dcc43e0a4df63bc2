"""Data that is already in memory, for use from Python."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.labels import warn_missing_classes
from mtbkd.errors import InputError


def from_arrays(
    x: ArrayLike | Tensor,
    y: ArrayLike | Tensor | None = None,
    *,
    x_validation: ArrayLike | Tensor | None = None,
    y_validation: ArrayLike | Tensor | None = None,
    x_test: ArrayLike | Tensor | None = None,
    y_test: ArrayLike | Tensor | None = None,
    x_ood: ArrayLike | Tensor | None = None,
    teacher_y: ArrayLike | Tensor | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "arrays",
    kind: Literal["vector", "image", "sequence"] = "vector",
) -> DistillationData:
    """A distillation problem from numpy arrays or tensors; inputs are taken as they are, standardised or not.

    x, x_*: `[n, ...]` numbers; y, y_*: `[n]` class indices, -1 or None for unlabelled (pool only)
    teacher_y: `[n]` labels that teachers trained by the run may see; `y` by default
    class_names: K names; by default 0 .. the largest label
    Row numbers count the pool, then validation, test and out-of-distribution rows.
    Raises `InputError` for labels that are no class indices or of another number than the inputs, parts whose
    inputs differ in shape, values that are not finite, and held-out rows without a label.
    """
    pool_x = _inputs("x", x)
    held_out = {
        "validation": (x_validation, y_validation),
        "test": (x_test, y_test),
        "ood": (x_ood, None),
    }
    parts = {"pool": _rows("", pool_x, y, pool_x, 0)}
    for part, (inputs, labels) in held_out.items():
        start = sum(len(rows) for rows in parts.values())
        parts[part] = _rows(f"_{part}", inputs, labels, pool_x, start)
        unlabelled = (parts[part].y < 0).nonzero().flatten()
        if part != "ood" and len(unlabelled):
            raise InputError(
                f"y_{part}: row {int(unlabelled[0])} has no label; give one, or leave the row out"
            )
    known = parts["pool"].y if teacher_y is None else _labels("teacher_y", teacher_y, len(pool_x))
    if class_names is None:
        labels = torch.cat([known, *(rows.y for rows in parts.values())])
        if not (labels >= 0).any():
            raise InputError("no row has a label, so the classes are unknown; give class_names")
        class_names = [str(k) for k in range(int(labels.max()) + 1)]
    data = DistillationData(
        name=name,
        pool=parts["pool"],
        validation=parts["validation"],
        test=parts["test"],
        class_names=tuple(class_names),
        teacher_y=known,
        ood=parts["ood"] if len(parts["ood"]) else None,
        kind=kind,
    )
    warn_missing_classes(data.pool.y.numpy(), data.class_names)
    return data


def _rows(
    suffix: str, x: ArrayLike | Tensor | None, y: ArrayLike | Tensor | None, pool_x: Tensor, start: int
) -> Rows:
    inputs = pool_x[:0] if x is None else _inputs(f"x{suffix}", x)
    if inputs.shape[1:] != pool_x.shape[1:]:
        raise InputError(
            f"x{suffix}: inputs of shape {tuple(inputs.shape[1:])}, those of x have {tuple(pool_x.shape[1:])}"
        )
    index = torch.arange(start, start + len(inputs))
    return Rows(inputs, _labels(f"y{suffix}", y, len(inputs)), index.numpy().astype(str), index)


def _inputs(what: str, x: ArrayLike | Tensor) -> Tensor:
    """`[n, ...]` float32 of one axis or more besides the rows."""
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if array.dtype.kind not in "biuf" or array.ndim < 2:
        raise InputError(f"{what} is {array.dtype} {array.shape}; give numbers [n, ...], one row an input")
    return torch.from_numpy(array.astype(np.float32))


def _labels(what: str, y: ArrayLike | Tensor | None, n: int) -> Tensor:
    """`[n]` int64, -1 where None."""
    if y is None:
        return torch.full((n,), -1)
    array = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if array.shape != (n,):
        raise InputError(f"{what} has shape {array.shape}, not ({n},); give one label a row of x")
    if array.dtype.kind not in "biu":
        raise InputError(f"{what} is {array.dtype}; give class indices as integers, -1 for unlabelled")
    return torch.from_numpy(array.astype(np.int64))
