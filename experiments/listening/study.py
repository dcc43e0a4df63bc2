"""What the commands of the study share: their words, the estimate, and where tables and figures go."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

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
    only: sweeps whose name holds one of these; empty: all; table: of the runs that are there; none is started
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
        help="sweeps whose name holds this; their tables have its name too",
    )
    parser.add_argument("--table", action="store_true", help="of the runs that are there; starts none")
    arguments = parser.parse_args()
    seeds = arguments.seeds or (QUICK_SEEDS if arguments.quick else 5)
    data = os.environ.get("MTBKD_DATA")
    return Settings(
        quick=arguments.quick,
        seeds=seeds,
        jobs=arguments.jobs,
        results=arguments.out,
        runs=arguments.runs,
        data=Path(data) if data else None,
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


def estimate(parts: Sequence[Part], settings: Settings) -> str:
    """How many runs are left, and the minutes that they take."""
    runs = left = 0
    seconds = 0.0
    for part in parts:
        number = len(list(part.sweep.combinations()))
        own = number - len(part.sweep.finished(settings.root))
        runs, left, seconds = runs + number, left + own, seconds + own * part.sweep.seconds
    return (
        f"{runs} runs, {runs - left} of them finished; about {seconds / 60 / settings.jobs:.0f} minutes "
        f"for the others, {settings.jobs} at a time (and some for training the teachers once)"
    )


def runs_of(
    parts: Sequence[Part], settings: Settings, config_dir: Path | None = None
) -> Iterator[tuple[Part, Run]]:
    """Tell the estimate, do what is left, and give all finished runs."""
    print(estimate(parts, settings), flush=True)
    for number, part in enumerate(parts, 1):
        if settings.table:
            runs = part.sweep.finished(settings.root)
        else:
            runs = part.sweep.do(settings.root, settings.jobs, config_dir)
        asked = len(list(part.sweep.combinations()))
        print(f"{number}/{len(parts)} {part.sweep.name}: {len(runs)} of {asked} runs", flush=True)
        for run in runs:
            yield part, run


def way_of(swept: Mapping[str, str]) -> str:
    """What a run's row is called: what was swept, seed aside."""
    return ", ".join(value for key, value in swept.items() if key != "seed")


def absent(parts: Sequence[Part], settings: Settings) -> list[str]:
    """Which sweeps, or which of their ways, have fewer finished runs than were asked for, a line each."""
    found = []
    for part in parts:
        name, log = part.sweep.name, settings.root / part.sweep.name / "output.log"
        see = f"; see {name}/output.log" if log.is_file() else ""
        done = [dict(run.swept) for run in part.sweep.finished(settings.root)]
        each = Counter(way_of(chosen) for chosen in part.sweep.combinations())
        if not done:
            found.append(f"- {name}: all {each.total()} runs{see}")
            continue
        left = Counter(way_of(chosen) for chosen in part.sweep.combinations() if chosen not in done)
        found += [f"- {name}: {way}, {number} of {each[way]} runs{see}" for way, number in left.items()]
    return found


def command(
    name: str,
    description: str | None,
    parts: Callable[[Settings], list[Part]],
    rows: Callable[[list[Part], Settings], pd.DataFrame],
    markdown: Callable[[pd.DataFrame], str],
    figure: "Callable[[pd.DataFrame], Figure] | None" = None,
) -> None:
    """A part's command: do what is left of it, print its tables and keep them.

    parts: its sweeps; rows: what their runs found, a row a run; markdown, figure: of these rows
    """
    settings = told(description)
    try:
        chosen = wanted(parts(settings), settings)
    except InputError as error:
        sys.exit(f"error: {error}")
    found = rows(chosen, settings)
    if found.empty:
        sys.exit(f"error: no run is finished; see output.log of the sweeps in {settings.root}")
    text = markdown(found)
    if left := absent(chosen, settings):
        text += "\n\n### Not there\n\n" + "\n".join(left)
    print(f"\n{text}")
    # A figure compares all sweeps of its part.
    drawn = None if figure is None or settings.only else figure(found)
    keep(name, found, text, settings, drawn)


def keep(
    name: str, found: pd.DataFrame, text: str, settings: Settings, figure: "Figure | None" = None
) -> None:
    """Write NAME.csv, NAME.md and NAME.svg, quick ones and those of some sweeps alone under another name."""
    from mtbkd.report.svg import report_style

    settings.results.mkdir(parents=True, exist_ok=True)
    stem = "_".join([name, *settings.only, *["quick"] * settings.quick])
    only = "".join(f" --only {word}" for word in settings.only)
    mark = "**Quick: few steps and seeds, only to see that it works; the figures mean little.**\n\n"
    head = f"{mark if settings.quick else ''}`python -m experiments.listening.{name}{only}`"
    found.to_csv(settings.results / f"{stem}.csv", index=False, float_format="%.5g")
    (settings.results / f"{stem}.md").write_text(f"{head}\n\n{text}\n")
    if figure is not None:
        with report_style():
            figure.savefig(settings.results / f"{stem}.svg", metadata=dict.fromkeys(("Date", "Creator")))
    print(f"\n{settings.results / stem}.csv")
