"""Columns of a table as numbers: standardised, one-hot or TF-IDF, fitted on the pool alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mtbkd.errors import InputError

if TYPE_CHECKING:
    import pandas

_GAP = "(missing)"


@dataclass(frozen=True)
class Columns:
    """Names of the feature columns by how they are turned into numbers."""

    numeric: list[str]
    categorical: list[str]
    text: list[str]

    @property
    def all(self) -> list[str]:
        return [*self.numeric, *self.categorical, *self.text]


def sort_columns(frame: "pandas.DataFrame", chosen: list[str], text: str | None) -> Columns:
    """Numbers and booleans are numeric, everything else is a category.

    Raises `InputError` for a column of dates, one of numbers with a few words in it, and for no column.
    """
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    features = [name for name in chosen if name != text]
    numeric = [name for name in features if is_numeric_dtype(frame[name])]
    categorical = [name for name in features if name not in numeric]
    for name in categorical:
        if is_datetime64_any_dtype(frame[name]):
            raise InputError(
                f"column '{name}' holds dates; turn it into a number or leave it out by data.columns"
            )
        _refuse_mixed(frame[name])
    if not features and text is None:
        raise InputError("the table has no feature column besides target, id and split; give at least one")
    return Columns(numeric, categorical, [text] if text is not None else [])


def check_values(frame: "pandas.DataFrame", columns: Columns, missing: str, what: str) -> None:
    """Raise `InputError` naming column and row for an infinite number and, unless imputed, a missing value."""
    from pandas.api.types import is_numeric_dtype

    for name in columns.numeric:
        if not is_numeric_dtype(frame[name]):
            raise InputError(
                f"{what}: column '{name}' holds words, in data.path it holds numbers; mend the file"
            )
        infinite = np.isinf(frame[name].to_numpy(np.float64, na_value=np.nan))
        if infinite.any():
            raise InputError(
                f"{what}: column '{name}' is infinite at row {infinite.argmax()}; mend or drop the row"
            )
    if missing == "error":
        gaps = frame[columns.all].isna().to_numpy()
        if gaps.any():
            row, column = np.argwhere(gaps)[0]
            raise InputError(
                f"{what}: column '{columns.all[column]}' has no value at row {row}; fill it in, drop the row, or set "
                "data.missing=median"
            )


def transform(
    frame: "pandas.DataFrame", columns: Columns, pool: np.ndarray, max_features: int, max_categories: int
) -> np.ndarray:
    """Features `[n, D]` float32: numbers, then categories, then words, all fitted on the rows `pool`.

    Numbers are standardised, gaps filled with the pool's median. Categories are one-hot, a gap is a category
    of its own; one that the pool lacks is all zeros. Words are weighted by TF-IDF, the `max_features` most
    frequent ones of the pool.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = frame[columns.all].astype(dict.fromkeys(columns.numeric, np.float64))
    for name, gap in [(c, _GAP) for c in columns.categorical] + [(c, "") for c in columns.text]:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), gap).astype(str)
    fitted_on = frame.iloc[pool]
    _check_pool(fitted_on, columns, max_categories)
    words = TfidfVectorizer(max_features=max_features)
    encoder = ColumnTransformer(
        [
            ("numeric", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), columns.numeric),
            ("category", OneHotEncoder(handle_unknown="ignore", sparse_output=False), columns.categorical),
            *(("text", words, name) for name in columns.text),
        ],
        sparse_threshold=0,
    )
    return encoder.fit(fitted_on).transform(frame).astype(np.float32)


def _check_pool(pool: "pandas.DataFrame", columns: Columns, max_categories: int) -> None:
    for name in columns.numeric:
        if pool[name].isna().all():
            raise InputError(f"column '{name}' has no value in the whole pool; leave it out by data.columns")
    for name in columns.categorical:
        count = pool[name].nunique()
        if count > max_categories:
            raise InputError(
                f"column '{name}' has {count} categories, more than data.max_categories={max_categories}; raise "
                "that, name it as data.id_column or data.text_column, or leave it out by data.columns"
            )
    for name in columns.text:
        if not pool[name].str.contains(r"\w\w").any():
            raise InputError(f"text column '{name}' holds no word in the whole pool; choose another")


def _refuse_mixed(column: "pandas.Series") -> None:
    import pandas

    present = column.dropna()
    words = pandas.to_numeric(present, errors="coerce").isna().to_numpy()
    if 0 < words.sum() < len(words) / 2:
        first = int(words.argmax())
        raise InputError(
            f"column '{column.name}' holds '{present.iloc[first]}' at row {present.index[first]} among numbers; "
            "write a number, or leave it empty and set data.missing=median"
        )
