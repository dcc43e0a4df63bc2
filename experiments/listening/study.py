"""What the commands of the study share: their words, the estimate, and where tables and figures go."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from experiments.listening import teacher_sets
from experiments.listening.kept_rows import KeptRows, Row, of_run
from experiments.listening.problems import Problem, fashion, proteins
from experiments.listening.sweeps import Run, Sweep
from mtbkd.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parents[1] / "results" / "listening"
RUNS = Path("outputs/listening")
QUICK_SEEDS = 3


@dataclass(frozen=True)
class Settings:
    """What a command was told.

    results: folder of tables and figures; runs: folder of the runs; data: folder of the data files, None without
    only: sweeps whose name holds one of these; empty: all; table: of what is there; no run is started
    """

    quick: bool = False
    seeds: int = 5
    jobs: int = 1
    results: Path = RESULTS
    runs: Path = RUNS
    data: Path | None = None
    only: tuple[str, ...] = ()
    table: bool = False

    @property
    def root(self) -> Path:
        """Where the sweeps lie; quick ones apart."""
        return self.runs.resolve() / ("quick" if self.quick else "full")

    @property
    def cache(self) -> str:
        """The word that has all runs share their teachers."""
        return f"teachers.cache={self.root / 'teachers'}"

    @property
    def config_dir(self) -> Path:
        """Folder of the sets of teachers that only this study has."""
        return self.root / "conf"

    def result(self, name: str, suffix: str) -> Path:
        """A file of a part's results; quick ones apart."""
        return self.results / f"{name}{'_quick' * self.quick}.{suffix}"

    def seeds_word(self, number: int | None = None) -> tuple[str, ...]:
        """Values of the key `seed`."""
        return tuple(map(str, range(self.seeds if number is None else number)))

    def from_files(self) -> list[Problem]:
        """The problems whose data are files, where these are."""
        return [] if self.data is None else [proteins(self.data), fashion(self.data)]


@dataclass(frozen=True)
class Part:
    """A sweep and what its rows are told as: the problem's title, the engine, and the block of its table."""

    sweep: Sweep
    problem: str
    engine: str
    block: str = ""


def told(description: str | None) -> Settings:
    """The command's settings."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few seeds and steps: only to see that it works")
    parser.add_argument("--seeds", type=int, help="5; 3 where quick")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the tables and figures")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        help="run the sweeps whose name holds this; tables have the kept rows of the others too",
    )
    parser.add_argument("--table", action="store_true", help="of what is there; starts no run")
    arguments = parser.parse_args()
    seeds = arguments.seeds or (QUICK_SEEDS if arguments.quick else 5)
    data = os.environ.get("MTBKD_DATA")
    return Settings(
        quick=arguments.quick,
        seeds=seeds,
        jobs=arguments.jobs,
        results=arguments.out,
        runs=arguments.runs,
        data=Path(data).resolve() if data else None,
        only=tuple(arguments.only),
        table=arguments.table,
    )


def wanted(parts: Sequence[Part], settings: Settings) -> list[Part]:
    """Those that `--only` names; raises `InputError` where it names none."""
    words = settings.only
    chosen = [part for part in parts if not words or any(word in part.sweep.name for word in words)]
    if not chosen:
        names = ", ".join(part.sweep.name for part in parts)
        raise InputError(f"--only {' '.join(words)}: no sweep is called so; valid: {names}")
    return chosen


def estimate(parts: Sequence[Part], settings: Settings, kept: KeptRows) -> str:
    """How many runs are left, and the minutes that they take."""
    runs = left = 0
    seconds = 0.0
    for part in parts:
        own = len(kept.left(part.sweep, settings.root))
        runs, left = runs + len(list(part.sweep.combinations())), left + own
        seconds += own * part.sweep.seconds
    return (
        f"{runs} runs, {runs - left} of them finished; about {seconds / 60 / settings.jobs:.0f} minutes "
        f"for the others, {settings.jobs} at a time (and some for training the teachers once)"
    )


def do(
    parts: Sequence[Part], settings: Settings, rows_of: Callable[[Part, Run], list[Row]], kept: KeptRows
) -> None:
    """Tell the estimate, do what is left, and keep what the runs found, sweep by sweep."""
    print(estimate(parts, settings, kept), flush=True)
    for number, part in enumerate(parts, 1):
        sweep = part.sweep
        if not settings.table:
            if sweep.config_dir is not None:
                teacher_sets.write(sweep.config_dir)
            sweep.do(kept.left(sweep, settings.root), settings.root, settings.jobs)
        # A row that is there stays: a folder of this machine may be older than a row that came from another.
        missing = kept.missing(sweep)
        runs = [run for run in sweep.finished(settings.root) if dict(run.swept) in missing]
        kept.merge(sweep, [row for run in runs for row in of_run(rows_of(part, run), sweep, run)])
        asked = len(list(sweep.combinations()))
        there = asked - len(kept.missing(sweep))
        print(f"{number}/{len(parts)} {sweep.name}: {there} of {asked} runs", flush=True)


def way_of(swept: Mapping[str, str]) -> str:
    """What a run's row is called: what was swept, seed aside."""
    return ", ".join(value for key, value in swept.items() if key != "seed")


def absent(parts: Sequence[Part], settings: Settings, kept: KeptRows) -> list[str]:
    """Of which sweeps, or which of their ways, tables have fewer runs than were asked for, a line each."""
    found = []
    for part in parts:
        name, log = part.sweep.name, settings.root / part.sweep.name / "output.log"
        see = f"; see {name}/output.log" if log.is_file() else ""
        each = Counter(way_of(chosen) for chosen in part.sweep.combinations())
        left = Counter(map(way_of, kept.missing(part.sweep)))
        if left == each:
            found.append(f"- {name}: all {each.total()} runs{see}")
            continue
        found += [f"- {name}: {way}, {number} of {each[way]} runs{see}" for way, number in left.items()]
    return found


def command(
    name: str,
    description: str | None,
    parts: Callable[[Settings], list[Part]],
    rows_of: Callable[[Part, Run], list[Row]],
    markdown: Callable[[pd.DataFrame], str],
    figure: "Callable[[pd.DataFrame], Figure] | None" = None,
) -> None:
    """A part's command: do what is left of it, print its tables and keep them.

    parts: its sweeps; rows_of: what a run of one found; markdown, figure: of all rows
    """
    settings = told(description)
    # Tables have the kept rows of data sets whose files are not here too: settings name no folder.
    whole = parts(replace(settings, data=settings.data or Path()))
    kept = KeptRows(settings.result(name, "csv"), [part.sweep for part in whole])
    try:
        chosen = wanted(parts(settings), settings)
    except InputError as error:
        sys.exit(f"error: {error}")
    do(chosen, settings, rows_of, kept)
    found = kept.asked()
    if found.empty:
        sys.exit(f"error: no run is finished; see output.log of the sweeps in {settings.root}")
    text = markdown(found)
    if left := absent(whole, settings, kept):
        text += "\n\n### Not there\n\n" + "\n".join(left)
    print(f"\n{text}")
    keep(name, text, settings, None if figure is None else figure(found))
    print(f"\n{kept.path}")


def keep(name: str, text: str, settings: Settings, figure: "Figure | None" = None) -> None:
    """Write NAME.md and NAME.svg."""
    from mtbkd.report.svg import report_style

    mark = "**Quick: few steps and seeds, only to see that it works; the figures mean little.**\n\n"
    head = f"{mark if settings.quick else ''}`python -m experiments.listening.{name}`"
    settings.result(name, "md").write_text(f"{head}\n\n{text}\n")
    if figure is not None:
        with report_style():
            figure.savefig(settings.result(name, "svg"), metadata=dict.fromkeys(("Date", "Creator")))
