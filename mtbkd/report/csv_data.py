"""Columns as a CSV file inside a link: data that a page carries along and a reader can keep, without a script."""

import base64
import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_ROWS = 4000  # of a file: a page with twenty of them stays well below two megabytes

Columns = Mapping[str, Any]


def csv_text(columns: Columns) -> str:
    """Columns of one length as CSV with a heading; numbers to six digits, what is not a number as an empty cell.

    Of more than `MOST_ROWS` rows evenly spread ones.
    """
    arrays = [np.asarray(values) for values in columns.values()]
    length = len(arrays[0]) if arrays else 0
    if length > MOST_ROWS:
        kept = np.arange(MOST_ROWS) * length // MOST_ROWS
        arrays = [values[kept] for values in arrays]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(_cell, values.tolist()) for values in arrays), strict=True))
    return out.getvalue()


def csv_url(columns: Columns) -> str:
    """The same as a `data:` address."""
    return "data:text/csv;base64," + base64.b64encode(csv_text(columns).encode()).decode()


def stacked(parts: Mapping[str, Columns], heading: str) -> dict[str, np.ndarray]:
    """Columns of several parts one below the other, with a first column that names the part."""
    parts = {name: columns for name, columns in parts.items() if columns}
    if not parts:
        return {}
    named = [np.full(len(next(iter(columns.values()))), name) for name, columns in parts.items()]
    rest = next(iter(parts.values()))
    return {heading: np.concatenate(named)} | {
        column: np.concatenate([np.asarray(columns[column]) for columns in parts.values()]) for column in rest
    }


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return "" if value is None else str(value)
