"""How columns of a table become a student's inputs, as plain numbers that travel with the student."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from mtbkd.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas

# What a category without a value is called.
GAP = "(missing)"


@dataclass(frozen=True)
class Scaling:
    """fill: in the place of a gap; (value - mean) / scale is what the student sees."""

    fill: float
    mean: float
    scale: float


@dataclass(frozen=True)
class TableEncoding:
    """Columns `{name: [n]}` to inputs `[n, D]`: numbers, then categories, then words, each in the order of its dict.

    numeric: by column; categories: the values that are told apart, one input each, by column: any other is all zeros
    words: inverse document frequencies by word, by column of text
    gaps: whether a value may be missing: a number is then `fill`, a category `GAP`, a text empty
    """

    numeric: dict[str, Scaling] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    words: dict[str, dict[str, float]] = field(default_factory=dict)
    gaps: bool = True

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [*self.numeric, *self.categories, *self.words]

    @property
    def width(self) -> int:
        """Inputs, D."""
        return len(self.numeric) + sum(map(len, [*self.categories.values(), *self.words.values()]))

    def encode(self, table: "Mapping[str, Any] | pandas.DataFrame", what: str = "the table") -> Tensor:
        """Inputs `[n, D]` float32 of a data frame, or of any `{column: [n] values}`.

        what: how errors call the table. Raises `InputError` naming column and row for a column that is not there, for
        a number that is none or infinite, and for a gap where none is allowed.
        """
        for name in self.columns:
            if name not in table:
                raise InputError(f"{what}: no column '{name}'; {nearest(name, [str(c) for c in table])}")
        blocks = [
            *(self._number(name, np.asarray(table[name]), what) for name in self.numeric),
            *(self._category(name, np.asarray(table[name], object), what) for name in self.categories),
            *(self._text(name, np.asarray(table[name], object), what) for name in self.words),
        ]
        return torch.from_numpy(np.concatenate(blocks, 1).astype(np.float32))

    def _number(self, name: str, column: np.ndarray, what: str) -> np.ndarray:
        missing = self._missing(name, column, what)
        values = np.full(len(column), self.numeric[name].fill)
        known = np.flatnonzero(~missing)
        if column.dtype.kind in "biuf":
            values[known] = column[known]
        else:
            values[known] = [self._as_number(name, column[row], row, what) for row in known.tolist()]
        infinite = np.flatnonzero(~np.isfinite(values))
        if len(infinite):
            raise InputError(
                f"{what}: column '{name}' is infinite at row {infinite[0]}; mend or drop the row"
            )
        return ((values - self.numeric[name].mean) / self.numeric[name].scale)[:, None]

    def _as_number(self, name: str, value: Any, row: int, what: str) -> float:
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{what}: column '{name}' holds '{value}' at row {row}, where the student learned numbers; write one"
            ) from error

    def _category(self, name: str, column: np.ndarray, what: str) -> np.ndarray:
        values = as_categories(column, self._missing(name, column, what))
        return np.stack([values == known for known in self.categories[name]], 1).astype(np.float64)

    def _text(self, name: str, column: np.ndarray, what: str) -> np.ndarray:
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = np.where(self._missing(name, column, what), "", column).astype(str)
        words = TfidfVectorizer(vocabulary=list(self.words[name]))
        words.idf_ = np.array(list(self.words[name].values()))
        return np.asarray(words.transform(texts).toarray())

    def _missing(self, name: str, column: np.ndarray, what: str) -> np.ndarray:
        missing = is_missing(column)
        if missing.any() and not self.gaps:
            raise InputError(
                f"{what}: column '{name}' has no value at row {missing.argmax()}; fill it in or drop the row: the "
                "student learned from a table without gaps (data.missing=median lets it)"
            )
        return missing

    def record(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)

    @classmethod
    def of_record(cls, stored: Mapping[str, Any]) -> Self:
        """What `record` gave; raises KeyError or TypeError for anything else."""
        numeric = {name: Scaling(**numbers) for name, numbers in stored["numeric"].items()}
        return cls(numeric, dict(stored["categories"]), dict(stored["words"]), bool(stored["gaps"]))


def is_missing(column: np.ndarray) -> np.ndarray:
    """`[n]` bool: None, NaN, pandas' NA and NaT, which alone are not equal to themselves or not even that."""
    if column.dtype.kind in "biuf":
        return np.asarray(column != column)
    return np.array([value is None or not _same(value) for value in column], bool)


def as_categories(column: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Values `[n]` as the names of categories, a gap as `GAP`."""
    return np.array([GAP if gap else str(v) for v, gap in zip(column, missing, strict=True)], object)


def _same(value: Any) -> bool:
    try:
        return bool(value == value)
    except TypeError:  # pandas' NA is neither true nor false
        return False
