"""What the classifier's X is made of: numbers, or a data frame with categories and gaps that is encoded first."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mtbkd.data.table_encoding import Scaling, TableEncoding
from mtbkd.data.table_features import fit_encoding, sort_columns
from mtbkd.errors import InputError

if TYPE_CHECKING:
    import pandas

# A column with more categories is rather an id or a text.
MAX_CATEGORIES = 100


def is_mixed(X: Any) -> bool:
    """Whether X is a data frame that holds anything but numbers: categories, texts, gaps."""
    if not _is_frame(X):
        return False
    from pandas.api.types import is_numeric_dtype

    return bool(X.isna().to_numpy().any()) or not all(is_numeric_dtype(kind) for kind in X.dtypes)


def learn_encoding(X: "pandas.DataFrame", standardize: bool) -> TableEncoding:
    """Numbers standardised (if `standardize`), gaps filled by the median; categories one-hot, a gap one of its own.

    Raises `InputError` for columns that no student can be shown, with what to make of them.
    """
    named = [column for column in X.columns if not isinstance(column, str)]
    if named:
        raise InputError(
            f"X: a column is called {named[0]!r}, which is no text; X.columns = X.columns.astype(str)"
        )
    encoding = fit_encoding(X, sort_columns(X, list(X.columns), None), "median", 1, MAX_CATEGORIES)
    if standardize:
        return encoding
    return replace(
        encoding, numeric={name: Scaling(one.fill, 0.0, 1.0) for name, one in encoding.numeric.items()}
    )


def encoded(encoding: TableEncoding, X: Any) -> np.ndarray:
    """`[n, D]` float64 of a data frame's columns, found by name; raises `InputError` for what is none."""
    if not _is_frame(X):
        raise InputError(
            f"X is of type {type(X).__name__}; the classifier was fitted to a data frame, so give one with its columns "
            f"({', '.join(encoding.columns)})"
        )
    return encoding.encode(X, "X").double().numpy()


def with_unlabelled(y: Any) -> Any:
    """y, a data frame's column with gaps with -1, unlabelled, in their place; anything else as it is."""
    if not hasattr(y, "isna") or getattr(y, "ndim", 0) != 1 or not y.isna().any():
        return y
    return y.astype(object).where(y.notna(), -1).to_numpy()


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "iloc")
