"""A user's own table: CSV, Parquet, or an npz with inputs `[n, D]` and labels.

Missing is what pandas reads as such (empty, NA, nan, ...); a row whose target is missing is unlabelled and
goes to the pool. In an npz the label -1 is missing too. Row numbers count the rows of the file (0 the first
below the header), then those of `test_path`, then those of `ood_path`.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mtbkd.data.assembly import assemble
from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.data.frames import DECIMALS, require_column
from mtbkd.data.labels import check_is_classes, encode_labels
from mtbkd.data.npz import existing
from mtbkd.data.splits import Split, named_split
from mtbkd.data.table_encoding import TableEncoding
from mtbkd.data.table_features import Columns, check_values, fit_encoding, sort_columns
from mtbkd.data.table_files import read_table, with_more_rows
from mtbkd.errors import InputError, require_at_least, require_choice, require_fraction

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class TableConfig:
    """path: `.csv`, `.tsv`, `.parquet` or `.npz`; target, id_column, split_column, text_column: columns (arrays of an
    npz); columns: features, null for all others; views: columns by name that teachers may be shown instead; inputs: an
    npz's array of features; see conf/data/table.yaml."""

    path: str | None = None
    target: str | None = None
    class_names: list[str] | None = None
    columns: list[str] | None = None
    views: dict[str, list[str]] = field(default_factory=dict)
    text_column: str | None = None
    id_column: str | None = None
    split_column: str | None = None
    inputs: str = "x"
    test_path: str | None = None
    ood_path: str | None = None
    decimal: str = "point"
    missing: str = "error"
    max_features: int = 1000
    max_categories: int = 100
    labelled_fraction: float = 1.0
    validation_fraction: float = 0.1
    test_fraction: float = 0.1

    def __post_init__(self) -> None:
        if self.test_path and self.split_column:
            raise InputError(
                "data.test_path and data.split_column both say which rows are test rows; give one of them"
            )
        require_choice("data.decimal", self.decimal, DECIMALS)
        require_choice("data.missing", self.missing, ("error", "median"))
        require_fraction(
            labelled_fraction=self.labelled_fraction,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
        )
        require_at_least(1, max_features=self.max_features, max_categories=self.max_categories)


def load(config: TableConfig, seed: int) -> DistillationData:
    """Numbers standardised on the pool, categories one-hot, text as TF-IDF, of the features and of each view alike;
    `raw` are the features' values as read, `table` all columns but the target and the split.

    Raises `InputError` for a missing or damaged file, a column that is not there, values that are missing or
    infinite, and labels that are no classes.
    """
    path = existing(config.path, "data.path")
    target = "y" if config.target is None and path.suffix == ".npz" else config.target
    special = [name for name in (target, config.id_column, config.split_column) if name is not None]
    frame = read_table(path, config, special)
    _has_target(frame, target, path, config)
    for setting in ("id_column", "split_column", "text_column"):
        if getattr(config, setting) is not None:
            require_column(frame, getattr(config, setting), path, f"data.{setting}")
    named = None
    if config.split_column is not None:
        named = named_split(frame[config.split_column].tolist(), f"{path}: column '{config.split_column}'")
    columns = sort_columns(frame, _features(frame, path, config, special), _text_of_student(config))
    views = _views(frame, path, config, special)
    shown = [columns, *views.values()]
    for part in shown:
        check_values(frame, part, config.missing, str(path))
    rowwise = with_more_rows(frame, config, shown, target)
    frame = rowwise.frame
    y, class_names = _labels(rowwise.labelled, target, path, config, named)
    split = rowwise.split(y, named, config, seed)
    y = np.concatenate([y, np.full(len(frame) - len(y), -1)])
    pool = frame.iloc[split.pool]

    def encoding_of(part: Columns) -> TableEncoding:
        return fit_encoding(pool, part, config.missing, config.max_features, config.max_categories)

    encoding = encoding_of(columns)
    rows = Rows(
        x=encoding.encode(frame, str(path)),
        y=torch.from_numpy(y),
        ids=rowwise.ids(config.id_column),
        index=torch.arange(len(y)),
        raw=frame[columns.all].to_numpy(np.float64)
        if columns.all == columns.numeric
        else _as_text(frame[columns.all]),
        views={name: encoding_of(part).encode(frame, str(path)) for name, part in views.items()},
        table=frame.drop(columns=[name for name in (target, config.split_column) if name in frame]),
    )
    data = assemble(path.stem, rows, split, class_names, config.labelled_fraction, seed)
    held_out = ("validation",) if config.test_path else ("validation", "test")
    drawn = () if named is not None else tuple(part for part in held_out if len(data.splits.get(part, ())))
    data = replace(data, drawn=drawn, encoding=encoding, feature_names=tuple(columns.all))
    return replace(data, ood_name=f"rows of {Path(config.ood_path).stem}") if config.ood_path else data


def _as_text(values: "pandas.DataFrame") -> np.ndarray:
    return values.to_numpy(object).astype(str)  # to_numpy(str) cuts a frame's words to one letter


def _labels(
    frame: "pandas.DataFrame", target: str | None, path: Path, config: TableConfig, named: Split | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class indices and names; without target all rows are unlabelled, if the class names are given."""
    if not _has_target(frame, target, path, config):
        return np.full(len(frame), -1), tuple(config.class_names or ())
    assert target is not None
    known = frame[target].notna().to_numpy(bool, copy=True)
    if path.suffix == ".npz" and frame[target].dtype.kind == "i":
        known &= frame[target].to_numpy() != -1
    if named is not None:
        known[named.ood] = False  # what is out of distribution may have a class of its own
    labels = frame[target].astype(object).where(known, None).tolist()
    if config.class_names is None:
        check_is_classes(labels, f"{path}, column '{target}'")
    return encode_labels(labels, config.class_names, f"{path}, column '{target}': label")


def _has_target(frame: "pandas.DataFrame", target: str | None, path: Path, config: TableConfig) -> bool:
    """Whether there are labels; raises `InputError` for a column that is not there, and without one or class names."""
    if config.target is not None:
        require_column(frame, config.target, path, "data.target")
        return True
    if target in frame:
        return True
    if config.class_names is None:
        raise InputError(
            f"data.target is not set; name the label column of {path} ({', '.join(map(str, frame.columns))}), "
            "or give data.class_names to distil without any label"
        )
    return False


def _features(frame: "pandas.DataFrame", path: Path, config: TableConfig, special: list[str]) -> list[str]:
    if config.columns is None:
        return [name for name in frame.columns if name not in special]
    return _chosen(frame, path, "data.columns", config.columns, special)


def _views(
    frame: "pandas.DataFrame", path: Path, config: TableConfig, special: list[str]
) -> dict[str, Columns]:
    chosen = {
        view: _chosen(frame, path, f"data.views.{view}", listed, special)
        for view, listed in config.views.items()
    }
    text = config.text_column
    return {
        view: sort_columns(frame, names, text if text in names else None) for view, names in chosen.items()
    }


def _chosen(
    frame: "pandas.DataFrame", path: Path, what: str, listed: list[str], special: list[str]
) -> list[str]:
    for name in listed:
        require_column(frame, name, path, what)
        if name in special:
            raise InputError(f"{what}: '{name}' is the target, id or split column; it cannot be a feature")
    return list(listed)


def _text_of_student(config: TableConfig) -> str | None:
    """The text column, unless it belongs to views alone: listed in one, and not in `columns`."""
    in_view = any(config.text_column in listed for listed in config.views.values())
    elsewhere = in_view and config.columns is not None and config.text_column not in config.columns
    return None if elsewhere else config.text_column
