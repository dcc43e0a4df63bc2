"""Reading tables (CSV, Parquet, npz) as data frames, with errors a user can mend."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mtbkd.data.npz import read_npz
from mtbkd.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas


# A header's columns are told apart by the one of these that it has most of, the first of them where it has none.
SEPARATORS = ",;\t|"
DECIMALS = {"point": ".", "comma": ","}


def read_frame(path: Path, text_columns: Sequence[str] = (), decimal: str = "point") -> "pandas.DataFrame":
    """A `.csv`, `.tsv` or `.parquet` file as a data frame; `text_columns` stay text, so that 007 is not 7.

    decimal: `point` or `comma`, what stands before a number's decimals in text files
    """
    import pandas

    with _told(path):
        if path.suffix.lower() == ".parquet":
            frame = pandas.read_parquet(path, engine="pyarrow")
            return frame.astype({name: str for name in text_columns if name in frame})
        types = dict.fromkeys(text_columns, str)
        # utf-8-sig: without the mark that spreadsheets write first.
        return pandas.read_csv(
            path,
            sep=_separator(path),
            decimal=DECIMALS[decimal],
            dtype=types,
            encoding="utf-8-sig",
            low_memory=False,
        )


def _separator(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    unquoted = "".join(header.split('"')[::2])
    return max(SEPARATORS, key=unquoted.count)


def read_text_csv(path: Path) -> "pandas.DataFrame":
    """A `.csv` file with every value as text, nothing read as missing: the protein `NA` is one."""
    import pandas

    with _told(path):
        return pandas.read_csv(path, dtype=str, keep_default_na=False)


def read_npz_frame(path: Path, inputs: str, named: Sequence[str]) -> "pandas.DataFrame":
    """An `.npz`: the array `inputs` `[n, D]` as columns `x_0`, `x_1`, ... (for `x`), and `named` ones `[n]`."""
    import pandas

    arrays = read_npz(path, [inputs], named)
    x = arrays.pop(inputs)
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        raise InputError(f"{path}: array '{inputs}' is {x.dtype} {x.shape}; give numbers [n, D]")
    frame = pandas.DataFrame(x, columns=[f"{inputs}_{d}" for d in range(x.shape[1])])
    for name, array in arrays.items():
        if array.shape != (len(x),):
            raise InputError(
                f"{path}: array '{name}' has shape {array.shape}, not ({len(x)},); give one value a row"
            )
        frame[name] = array
    return frame


def require_column(frame: "pandas.DataFrame", column: str, path: Path, what: str) -> None:
    """Raise `InputError` naming the nearest column unless `frame` has `column`."""
    if column not in frame:
        raise InputError(f"{what}: no column '{column}' in {path}; {nearest(column, frame.columns)}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error}); save it again as UTF-8") from error
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parser errors are ValueErrors
        raise InputError(f"{path}: cannot be read ({error}); it is empty, truncated or damaged") from error
