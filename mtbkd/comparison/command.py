"""mtbkd-compare: comparison.html, comparison.csv, comparison_means.csv and comparison.tex of any folders of runs.

Every folder below those given that holds a run.json is a run, wherever it was made. Runs that differ by seed alone are
one configuration; its mean is told with a 95 % t interval, and its difference to a baseline seed by seed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mtbkd.comparison.comparison import comparison_of
from mtbkd.comparison.files import write_files
from mtbkd.comparison.runs import read_runs
from mtbkd.comparison.terminal import summary
from mtbkd.errors import InputError

EXAMPLES = """examples:
  mtbkd-compare multirun/2026-01-31/12-00-00
  mtbkd-compare out/sweep --baseline weighting=uniform
      against uniform weighting; where other settings were swept too, against what is the same in these
  mtbkd-compare laptop/sweep cluster/sweep --out both --scores accuracy,nll,ece,ood.total.auroc
  mtbkd-compare out/sweep --model student --model kd_student --baseline model=kd_student

exit codes: 0 done, 2 bad input, 1 anything else
"""


def parser() -> argparse.ArgumentParser:
    """The command's words."""
    made = argparse.ArgumentParser(
        prog="mtbkd-compare",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "folders", metavar="DIR", nargs="+", type=Path, help="folder of runs, such as a sweep's"
    )
    made.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        help="where the files go; default: DIR where there is one, else the current folder",
    )
    made.add_argument(
        "--baseline",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="what differences are to, given once for each key; default: the first configuration of the sweep",
    )
    made.add_argument(
        "--scores",
        metavar="A,B",
        type=lambda text: [score for score in text.split(",") if score],
        default=[],
        help="names of metrics.json, such as accuracy,nll,brier,ece,aurc,ood.total.auroc; default: accuracy,nll,ece",
    )
    made.add_argument(
        "--model",
        metavar="NAME",
        action="append",
        default=[],
        help="student, kd_student, label_only_student, teacher_ensemble or 'teacher NAME', given once for each; "
        "default: student, or all where there is one configuration",
    )
    return made


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the `mtbkd-compare` command."""
    told = parser().parse_args(words)
    out = told.out or (told.folders[0] if len(told.folders) == 1 else Path())
    try:
        found = comparison_of(read_runs(told.folders), told.baseline, told.scores, told.model)
    except InputError as error:
        refuse(str(error))
    except OSError as error:
        refuse(
            f"cannot read '{error.filename}' ({error.strerror}); make it readable, or leave its folder out"
        )
    try:
        written = write_files(found, out, told.folders)
    except OSError as error:
        refuse(f"cannot write '{error.filename}' ({error.strerror}); choose another --out")
    print(summary(found))
    for path in written:
        print(path)
    sys.exit(0)


def refuse(message: str) -> NoReturn:
    """Tell of bad input in one line, and exit."""
    print(f"mtbkd-compare: {message}", file=sys.stderr)
    sys.exit(2)
