"""What the commands of the study share: their words, the estimate, and where tables and figures go."""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from experiments.listening.problems import Problem, fashion, proteins
from experiments.listening.sweeps import Run, Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parents[1] / "results" / "listening"
RUNS = Path("outputs/listening")
QUICK_SEEDS = 3


@dataclass(frozen=True)
class Settings:
    """What a command was told.

    results: folder of tables and figures; runs: folder of the runs; data: folder of the data files, None without
    """

    quick: bool = False
    seeds: int = 5
    jobs: int = 1
    results: Path = RESULTS
    runs: Path = RUNS
    data: Path | None = None

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
    arguments = parser.parse_args()
    seeds = arguments.seeds or (QUICK_SEEDS if arguments.quick else 5)
    data = os.environ.get("MTBKD_DATA")
    return Settings(
        arguments.quick, seeds, arguments.jobs, arguments.out, arguments.runs, Path(data) if data else None
    )


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
        runs = part.sweep.do(settings.root, settings.jobs, config_dir)
        asked = len(list(part.sweep.combinations()))
        print(f"{number}/{len(parts)} {part.sweep.name}: {len(runs)} of {asked} runs", flush=True)
        for run in runs:
            yield part, run


def way_of(run: Run) -> str:
    """What a run's row is called: what was swept, seed aside."""
    return ", ".join(value for key, value in run.swept.items() if key != "seed")


def keep(
    name: str, found: pd.DataFrame, text: str, settings: Settings, figure: "Figure | None" = None
) -> None:
    """Write NAME.csv (a row a run), NAME.md and NAME.svg, quick ones under another name, and print the text."""
    from mtbkd.report.svg import report_style

    settings.results.mkdir(parents=True, exist_ok=True)
    stem = f"{name}_quick" if settings.quick else name
    mark = "**Quick: few steps and seeds, only to see that it works; the figures mean little.**\n\n"
    text = f"{mark if settings.quick else ''}`python -m experiments.listening.{name}`\n\n{text}\n"
    found.to_csv(settings.results / f"{stem}.csv", index=False, float_format="%.5g")
    (settings.results / f"{stem}.md").write_text(text)
    if figure is not None:
        with report_style():
            figure.savefig(settings.results / f"{stem}.svg", metadata=dict.fromkeys(("Date", "Creator")))
    print(f"\n{text}\n{settings.results / stem}.csv")
