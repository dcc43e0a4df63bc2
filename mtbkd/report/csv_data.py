"""Columns as a CSV file inside a link: data that a page carries along and a reader can keep, without a script."""

import base64
import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_ROWS = 4000  # of a file: a page with twenty of them stays well below two megabytes
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula of a spreadsheet begins with

Columns = Mapping[str, Any]


def csv_text(columns: Columns) -> str:
    """Columns of one length as CSV with a heading; numbers to six digits, what is not a number as an empty cell.

    Of more than `MOST_ROWS` rows evenly spread ones. A text is none that a spreadsheet would compute (`as_text`).
    """
    arrays = [np.asarray(values) for values in columns.values()]
    length = len(arrays[0]) if arrays else 0
    if length > MOST_ROWS:
        kept = np.arange(MOST_ROWS) * length // MOST_ROWS
        arrays = [values[kept] for values in arrays]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(map(as_text, columns))
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


def without_formulas(text: str) -> str:
    """A CSV file's text with every cell `as_text`, numbers as they are."""
    # An error may be longer than the 128 KiB that a cell has by default.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    out = io.StringIO()
    rows = csv.reader(io.StringIO(text, newline=""))
    csv.writer(out, lineterminator="\n").writerows([as_text(cell) for cell in row] for row in rows)
    return out.getvalue()


def as_text(cell: str) -> str:
    """A cell with an apostrophe before it where a spreadsheet would take it for a formula; numbers as they are.

    A class, a teacher or an error may begin with such a character, and others than the reader choose their names.
    """
    return f"'{cell}" if cell.startswith(FORMULA) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return "" if value is None else as_text(str(value))
