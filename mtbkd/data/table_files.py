"""The files of a user's table, one below the other: the table itself, rows to test by, rows from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtbkd.data.frames import read_frame, read_npz_frame, require_column
from mtbkd.data.npz import existing
from mtbkd.data.splits import Split, stratified_split
from mtbkd.data.table_features import Columns, check_values
from mtbkd.errors import InputError

if TYPE_CHECKING:
    import pandas

    from mtbkd.data.table import TableConfig

SUFFIXES = (".csv", ".tsv", ".parquet", ".npz")
PICKLES = (".pkl", ".pickle", ".joblib")


@dataclass(frozen=True)
class Rowwise:
    """Rows of all files.

    frame: those of `data.path`, of which there are `own`, then `test` ones of `data.test_path`, then those of
        `data.ood_path`
    """

    frame: "pandas.DataFrame"
    own: int
    test: int

    @property
    def labelled(self) -> "pandas.DataFrame":
        """The rows that may have a label."""
        return self.frame.iloc[: self.own + self.test]

    def ids(self, id_column: str | None) -> np.ndarray:
        """`[n]` names: of the id column where there is one, else row numbers; of the last file always numbers."""
        ood = len(self.frame) - self.own - self.test
        parts = [("", self.own), ("test/", self.test), ("ood/", ood)]
        numbered = np.concatenate([np.char.add(name, np.arange(n).astype(str)) for name, n in parts])
        if id_column is None:
            return numbered
        named = self.labelled[id_column].to_numpy(object).astype(str)
        return np.concatenate([named, numbered[len(named) :]])

    def split(self, y: np.ndarray, named: Split | None, config: "TableConfig", seed: int) -> Split:
        """The parts of all rows; y: labels of the labelled ones; named: those of the table, where it has a column."""
        by_chance = 0.0 if config.test_path else config.test_fraction
        split = named or stratified_split(y[: self.own], config.validation_fraction, by_chance, seed)
        known = self.own + self.test
        return replace(
            split,
            test=np.concatenate([split.test, np.arange(self.own, known)]),
            ood=np.concatenate([split.ood, np.arange(known, len(self.frame))]),
        )


def read_table(
    path: Path, config: "TableConfig", named: Sequence[str], categorical: Sequence[str] = ()
) -> "pandas.DataFrame":
    """The file as a data frame; named: arrays of an npz beside its inputs; categorical: columns that are categories,
    whatever they hold here. Raises as `read_columns`."""
    text = [name for name in (config.id_column, config.text_column) if name]
    if path.suffix.lower() != ".parquet":  # which tells itself what is text
        text += categorical
    return read_columns(path, text, named, config.decimal, config.inputs)


def read_columns(
    path: Path, text: Sequence[str], named: Sequence[str] = (), decimal: str = "point", array: str = "x"
) -> "pandas.DataFrame":
    """The file as a data frame.

    text: columns that stay text; named: arrays of an npz beside its inputs, which are the array `array`
    Raises `InputError` for a file of another kind, with what to make of it.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; give the path of a table ({', '.join(SUFFIXES)})")
    if suffix == ".npz":
        return read_npz_frame(path, array, named)
    if suffix in SUFFIXES:
        frame = read_frame(path, text, decimal)
        if not len(frame):
            raise InputError(f"{path}: has a header and no rows")
        return frame
    mend = "a pickle can run code and is never read; write it by DataFrame.to_csv or to_parquet"
    if suffix not in PICKLES:
        mend = "save it as .csv (any of , ; tab | between columns), or write it by DataFrame.to_csv or to_parquet"
    raise InputError(f"'{path.name}' is neither {', '.join(SUFFIXES[:-1])} nor {SUFFIXES[-1]}; {mend}")


def with_more_rows(
    frame: "pandas.DataFrame", config: "TableConfig", shown: Sequence[Columns], target: str | None
) -> Rowwise:
    """The table, and below it the rows of the other files that the configuration names.

    shown: the columns that are shown to the student and to teachers, which each file must have
    Raises `InputError` for a file or column that is not there, and for values that no student can be shown.
    """
    import pandas

    columns = all_of(shown)
    marks = [name for name in (target, config.id_column) if name is not None]
    test = _more("data.test_path", config.test_path, config, shown, [*columns, *marks])
    ood = _more("data.ood_path", config.ood_path, config, shown, columns)
    below = [part[[name for name in frame if name in part]] for part in (test, ood) if part is not None]
    if ood is not None:
        below[-1] = below[-1][columns]
    joined = pandas.concat([frame, *below], ignore_index=True) if below else frame
    return Rowwise(joined, len(frame), 0 if test is None else len(test))


def _more(
    setting: str,
    given: str | None,
    config: "TableConfig",
    shown: Sequence[Columns],
    needed: Sequence[str],
) -> "pandas.DataFrame | None":
    if given is None:
        return None
    path = existing(given, setting)
    categorical = [name for part in shown for name in part.categorical]
    frame = read_table(path, config, [name for name in needed if name not in all_of(shown)], categorical)
    for name in needed:
        require_column(frame, name, path, setting)
    for part in shown:
        check_values(frame, part, config.missing, str(path))
    return frame


def all_of(shown: Sequence[Columns]) -> list[str]:
    """Every column that is shown to somebody, once."""
    return list(dict.fromkeys(name for part in shown for name in part.all))
