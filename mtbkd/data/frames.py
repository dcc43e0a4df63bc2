"""Reading tables (CSV, Parquet, npz) as data frames, with errors a user can mend."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mtbkd.data.npz import read_npz
from mtbkd.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas


def read_frame(path: Path, text_columns: Sequence[str] = ()) -> "pandas.DataFrame":
    """A `.csv` or `.parquet` file as a data frame; `text_columns` stay text, so that 007 is not 7."""
    import pandas

    with _told(path):
        if path.suffix == ".parquet":
            frame = pandas.read_parquet(path, engine="pyarrow")
            return frame.astype({name: str for name in text_columns if name in frame})
        return pandas.read_csv(path, dtype=dict.fromkeys(text_columns, str), low_memory=False)


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
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parser errors are ValueErrors
        raise InputError(f"{path}: cannot be read ({error}); it is empty, truncated or damaged") from error
