"""Reading teacher predictions from npz, CSV and Parquet, columns brought into the data's class order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtbkd.data.frames import read_frame
from mtbkd.data.npz import read_npz
from mtbkd.errors import InputError, nearest

_KEYS = {"logits": "logits", "probabilities": "probs"}


@dataclass(frozen=True)
class PredictionFile:
    """values: `[S, N, K]`; ids: `[N]` unicode or None; inputs_hash: of the inputs they belong to, or None."""

    values: np.ndarray
    ids: np.ndarray | None
    inputs_hash: str | None = None


def read_predictions_npz(path: Path, values: str, class_names: Sequence[str]) -> PredictionFile:
    """Keys `logits` or `probs` `[N, K]` or `[S, N, K]`; may have `ids` `[N]`, `class_names` `[K]`, `inputs_hash`.

    Raises `InputError` where shapes, class names or the kind of values are not what is wanted.
    """
    file = read_npz(path, [_KEYS[values]], ["ids", "class_names", "inputs_hash"])
    array = file[_KEYS[values]]
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise InputError(f"{path}: {_KEYS[values]} has shape {array.shape}; give [N, K] or [S, N, K]")
    names = file["class_names"].astype(str).tolist() if "class_names" in file else list(class_names)
    if len(names) != array.shape[2] or sorted(names) != sorted(class_names):
        raise InputError(
            f"{path}: has {array.shape[2]} columns for the classes {', '.join(names)}; wanted are "
            f"{len(class_names)}: {', '.join(class_names)}; give a column for each class and no other, or name in "
            "`classes` those that the teacher knows"
        )
    ids = file["ids"].astype(str) if "ids" in file else None
    if ids is not None and ids.shape != array.shape[1:2]:
        raise InputError(f"{path}: {len(ids)} ids for {array.shape[1]} rows; give one a row")
    inputs_hash = str(file["inputs_hash"]) if "inputs_hash" in file else None
    return PredictionFile(array[:, :, [names.index(c) for c in class_names]], ids, inputs_hash)


def read_csv_or_parquet(
    path: Path, class_names: Sequence[str], columns: Mapping[str, str] | None, id_column: str | None
) -> PredictionFile:
    """A table with a numeric column for each class, in any order; other columns are ignored.

    columns: `{column: class name}`, None where columns are named as the classes
    Raises `InputError` for a missing column, a class without one, and values that are no numbers.
    """
    table = read_frame(path, [] if id_column is None else [id_column])
    table.columns = table.columns.astype(str)
    by_class = (
        {c: c for c in class_names} if columns is None else {c: column for column, c in columns.items()}
    )
    for c in by_class:
        if c not in class_names:
            raise InputError(f"{path}: columns names the class '{c}'; {nearest(c, class_names)}")
    if columns is not None and len(by_class) < len(columns):
        raise InputError(f"{path}: columns gives one class two columns; each class has one")
    for c in class_names:
        if c not in by_class:
            raise InputError(
                f"{path}: class '{c}' has no column; add it to columns, or name in `classes` those that the teacher "
                "knows"
            )
    for column in [*by_class.values(), *([] if id_column is None else [id_column])]:
        if column not in table:
            raise InputError(f"{path}: has no column '{column}'; {nearest(column, table)}")
    try:
        values = np.stack([table[by_class[c]].to_numpy(float) for c in class_names], 1)
    except ValueError as error:
        raise InputError(f"{path}: a class column holds something else than numbers: {error}") from error
    return PredictionFile(values[None], None if id_column is None else table[id_column].to_numpy(str))
