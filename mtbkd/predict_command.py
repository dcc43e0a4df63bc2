"""`mtbkd-predict RUN TABLE --out PREDICTIONS`: what a finished run's student says of new rows.

Exit codes are the `mtbkd` command's: 0 done, 2 bad input, 1 anything else.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtbkd.errors import InputError

if TYPE_CHECKING:
    import pandas


def main(words: Sequence[str] | None = None) -> int:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(
        prog="mtbkd-predict",
        description="Predict rows of a table by the student of a finished run. A row of the output has its id, the "
        "most probable class, the probability of each, and the student's uncertainty in nats: total, and epistemic, "
        "the part that more data or teachers would remove.",
    )
    parser.add_argument("run", type=Path, help="folder of the run: posterior/ and inputs.json are read")
    parser.add_argument(
        "table", type=Path, help=".csv, .tsv, .parquet or .npz with the columns it learned from"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("predictions.csv"), help="file to write, .csv or .parquet"
    )
    chosen = parser.parse_args(words)
    try:
        print(predict(chosen.run, chosen.table, chosen.out))
    except InputError as error:
        print(f"mtbkd-predict: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def predict(run: Path, table: Path, out: Path) -> str:
    """Write what the run's student says of the table's rows to `out`; returns a line that tells of it.

    Raises `InputError` for what cannot be read or written so; the file is then as it was.
    """
    from mtbkd.predictor import Predictor

    if out.suffix not in (".csv", ".parquet"):
        raise InputError(f"--out: '{out.name}' is neither .csv nor .parquet; choose one of them")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out: the folder '{out.parent}' does not exist; make it, or choose another")
    if out.is_dir():
        raise InputError(f"--out: '{out}' is a folder; give the path of a file")
    if out.exists() and table.exists() and out.samefile(table):
        raise InputError(f"--out: '{out}' is the table itself; choose another name")
    found = Predictor.load(run).predict_file(table)
    _write(found, out)
    return f"{len(found):,} rows: {out}"


def _write(found: "pandas.DataFrame", out: Path) -> None:
    """Whole, or not at all."""
    temporary = out.with_name(f".{out.name}.part")
    try:
        if out.suffix == ".csv":
            found.to_csv(temporary, index=False, float_format="%.6g")
        else:
            found.to_parquet(temporary)
        temporary.replace(out)
    except OSError as error:
        raise InputError(
            f"--out: '{out}' cannot be written ({error}); make room, or choose another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
