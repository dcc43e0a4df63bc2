"""Which columns of a table are numbers, categories and texts, and how the pool's rows say to encode them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mtbkd.data.table_encoding import GAP, Scaling, TableEncoding
from mtbkd.errors import InputError

if TYPE_CHECKING:
    import pandas


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
    """Numbers and booleans are numeric, with gaps or without; everything else is a category.

    Raises `InputError` for a column of dates, one of numbers with a few words in it, and for no column.
    """
    from pandas.api.types import is_datetime64_any_dtype

    features = [name for name in chosen if name != text]
    numeric = [name for name in features if _holds_numbers(frame[name])]
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
    for name in columns.numeric:
        if not _holds_numbers(frame[name]):
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


def fit_encoding(
    frame: "pandas.DataFrame", columns: Columns, missing: str, max_features: int, max_categories: int
) -> TableEncoding:
    """What the rows of `frame`, the pool, say of how columns become numbers.

    Numbers are standardised, gaps filled with the pool's median. Categories are one-hot, a gap is a category
    of its own; one that the pool lacks is all zeros. Words are weighted by TF-IDF, the `max_features` most
    frequent ones of the pool. missing: `error` where no value may be missing, else `median`
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import StandardScaler

    frame = frame[columns.all].astype(dict.fromkeys(columns.numeric, np.float64))
    for name, gap in [(c, GAP) for c in columns.categorical] + [(c, "") for c in columns.text]:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), gap).astype(str)
    _check_pool(frame, columns, max_categories)
    numeric: dict[str, Scaling] = {}
    for name in columns.numeric:
        fill = float(frame[name].median())
        scaler = StandardScaler().fit(frame[[name]].fillna(fill).to_numpy())
        numeric[name] = Scaling(fill, float(scaler.mean_[0]), float(scaler.scale_[0]))
    words: dict[str, dict[str, float]] = {}
    for name in columns.text:
        weighted = TfidfVectorizer(max_features=max_features).fit(frame[name])
        words[name] = dict(
            zip(weighted.get_feature_names_out().tolist(), weighted.idf_.tolist(), strict=True)
        )
    categories = {name: sorted(frame[name].unique().tolist()) for name in columns.categorical}
    return TableEncoding(numeric, categories, words, gaps=missing != "error")


def _check_pool(pool: "pandas.DataFrame", columns: Columns, max_categories: int) -> None:
    for name in columns.numeric:
        if pool[name].isna().all():
            raise InputError(f"column '{name}' has no value in the whole pool; leave it out by data.columns")
    for name in columns.categorical:
        count = pool[name].nunique()
        if count > max_categories:
            raise InputError(
                f"column '{name}' has {count} categories, more than data.max_categories={max_categories}; raise "
                "that, name it as data.id_column or data.text_column, or leave it out (data.columns; in Python "
                f"X.drop(columns='{name}'))"
            )
    for name in columns.text:
        if not pool[name].str.contains(r"\w\w").any():
            raise InputError(f"text column '{name}' holds no word in the whole pool; choose another")


def _holds_numbers(column: "pandas.Series") -> bool:
    """Numbers and booleans, of which pandas makes objects where one is missing."""
    from pandas.api.types import infer_dtype, is_numeric_dtype

    return is_numeric_dtype(column) or (column.dtype == object and infer_dtype(column) == "boolean")


def _refuse_mixed(column: "pandas.Series") -> None:
    import pandas

    present = column.dropna()
    commas = present.astype(str).str.fullmatch(r"\s*[+-]?\d+,\d+\s*")
    if len(present) and commas.mean() > 0.5:
        raise InputError(
            f"column '{column.name}' holds '{present.iloc[0]}', with a decimal comma; set data.decimal=comma (in "
            "Python: read_csv(..., decimal=','))"
        )
    words = pandas.to_numeric(present, errors="coerce").isna().to_numpy()
    if 0 < words.sum() < len(words) / 2:
        first = int(words.argmax())
        raise InputError(
            f"column '{column.name}' holds '{present.iloc[first]}' at row {present.index[first]} among numbers; "
            "write a number, or leave it empty and set data.missing=median"
        )
