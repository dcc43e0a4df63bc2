"""Predictions on disk: npz, CSV or Parquet; matched to the data by ids, or by row number in the source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.npz import existing
from mtbkd.errors import InputError, nearest, require_choice
from mtbkd.teachers.coverage import Columns
from mtbkd.teachers.prediction_files import PredictionFile, read_csv_or_parquet, read_predictions_npz
from mtbkd.teachers.split_predictions import SplitPredictions, refuse_made_rows
from mtbkd.teachers.teacher import Teacher
from mtbkd.teachers.values import check_logits, logits_of_probs

_SPLITS = ("pool", "validation", "test", "ood")


@dataclass(frozen=True)
class PredictionsConfig:
    """path: one file for all rows of the source, or `{split: file}` (out-of-distribution rows need this);
    values: `logits` or `probabilities`; id_column: of a table, null to match by row number (an npz brings
    `ids`); columns: `{column: class name}` of a table, null where columns are named as the classes; classes: names of
    those that the teacher knows, in the order of an npz that names none, null for all."""

    path: Any
    values: str
    id_column: str | None = None
    columns: dict[str, str] | None = None
    classes: list[str] | None = None

    def __post_init__(self) -> None:
        require_choice("values", self.values, ("logits", "probabilities"))
        if isinstance(self.path, Mapping):
            for split in self.path:
                require_choice("path", str(split), _SPLITS)
            if "pool" not in self.path:
                raise InputError("path names no file for the pool; add `pool: file`")
        elif not isinstance(self.path, str):
            raise InputError(f"path is {self.path}; give a file, or {{split: file}}")


def build(name: str, config: PredictionsConfig, data: DistillationData, seed: int) -> Teacher:
    """The predictions, read, matched with the data's rows and checked.

    Raises `InputError` for a missing or truncated file, a missing class column or id, rows that cannot be
    matched, and values that are no logits or probabilities.
    """
    names = data.class_names if config.classes is None else config.classes
    columns = Columns.named(f"teacher '{name}'", names, data.class_names)
    splits = [split for split in data.splits if split != "ood"]
    paths = dict.fromkeys(splits, config.path) if isinstance(config.path, str) else config.path
    files: dict[str, PredictionFile] = {}
    matched: dict[str, Tensor] = {}
    for split, rows in data.splits.items():
        if split not in paths:
            continue
        path = paths[split]
        if path not in files:
            files[path] = _read(name, path, config, names)
        values = _matched(f"teacher '{name}': {path}", files[path], rows)
        check = check_logits if config.values == "logits" else logits_of_probs
        matched[split] = columns.spread(f"teacher '{name}'", check(name, values))
    return SplitPredictions(name, data, matched, columns.known)


def _read(name: str, path: str, config: PredictionsConfig, class_names: Sequence[str]) -> PredictionFile:
    found: Path = existing(path, f"teacher '{name}': path")
    if found.suffix == ".npz":
        return read_predictions_npz(found, config.values, class_names)
    if found.suffix in (".csv", ".parquet"):
        return read_csv_or_parquet(found, class_names, config.columns, config.id_column)
    raise InputError(
        f"teacher '{name}': '{path}' is neither .npz, .csv nor .parquet; convert it to one of them"
    )


def _matched(what: str, file: PredictionFile, rows: Rows) -> np.ndarray:
    """The file's `[S, n, K]` at the given rows."""
    if file.inputs_hash != rows.hash:
        refuse_made_rows(what, rows)
    if file.inputs_hash is not None:
        if file.inputs_hash != rows.hash or file.values.shape[1] != len(rows):
            raise InputError(
                f"{what}: its inputs_hash ({file.inputs_hash[:8]}) is not that of the rows ({rows.hash[:8]}): "
                "it belongs to other inputs or another order; predict these rows again, or match by ids"
            )
        return file.values
    if file.ids is None:
        return file.values[:, _by_number(what, file.values.shape[1], rows)]
    position = {row_id: row for row, row_id in enumerate(file.ids.tolist())}
    if len(position) < len(file.ids):
        unique, counts = np.unique(file.ids, return_counts=True)
        raise InputError(f"{what}: id '{unique[counts > 1][0]}' is there twice; give each row its own id")
    missing = [row_id for row_id in rows.ids.tolist() if row_id not in position]
    if missing:
        raise InputError(
            f"{what}: has no prediction for id '{missing[0]}' ({len(missing)} of {len(rows)} rows are missing); "
            f"add the rows; {nearest(missing[0], list(position)[:5])}, ..."
        )
    return file.values[:, [position[row_id] for row_id in rows.ids.tolist()]]


def _by_number(what: str, count: int, rows: Rows) -> np.ndarray:
    last = int(rows.index.max())
    if last >= count:
        raise InputError(
            f"{what}: has {count} rows and no ids, while row {last} of the source is needed; without ids a file "
            "has a row for every row of the source, in its order: add ids or the missing rows"
        )
    return rows.index.numpy()
