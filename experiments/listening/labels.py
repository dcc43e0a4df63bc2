"""Part 3: how many labels, and what the unlabelled rows are worth.

    python -m experiments.listening.labels [--quick] [--seeds 5] [--jobs 1]

Digits from 1 % to 100 % of the labels. With the unlabelled pool the student hears the teachers at every row, without it
at the labelled rows alone; the teachers are the same, trained on all rows. `labels only` has no teachers.
"""

from typing import TYPE_CHECKING

import pandas as pd

from experiments.listening.kept_rows import Row
from experiments.listening.line_figure import Line, panels
from experiments.listening.paired_table import table
from experiments.listening.problems import DIGITS
from experiments.listening.scores import HEADINGS, scores_of
from experiments.listening.study import Part, Settings, command
from experiments.listening.sweeps import Run, Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRACTIONS = ("0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1.0")
FEW_FRACTIONS = ("0.02", "0.1", "1.0")
WAYS = ("uniform", "entropy", "confidence", "learned")
POOL = {"true": "all rows", "false": "labelled rows alone"}
LABELS_ONLY = "labels only"


def parts(settings: Settings) -> list[Part]:
    """All sweeps of this part."""
    fractions = FEW_FRACTIONS if settings.quick else FRACTIONS
    found = []
    for engine in ("map",) if settings.quick else ("map", "svi"):
        words, seconds = DIGITS.with_engine(engine, settings.quick)
        words = (*(word for word in words if not word.startswith("data.labelled_fraction")), settings.cache)
        shared = {"data.labelled_fraction": fractions, "seed": settings.seeds_word()}
        with_teachers = {"weighting": WAYS, "data.unlabelled": tuple(POOL), **shared}
        alone = (*words, "prior.strength=0", "weighting=uniform")
        found += [
            Part(Sweep(f"labels-{engine}-teachers", words, with_teachers, seconds), DIGITS.title, engine),
            Part(Sweep(f"labels-{engine}-alone", alone, shared, seconds), DIGITS.title, engine, LABELS_ONLY),
        ]
    return found


def rows_of(part: Part, run: Run) -> list[Row]:
    """Its scores."""
    pool = POOL.get(run.swept.get("data.unlabelled", ""), "")
    way = f"{run.swept['weighting']}, {pool}" if pool else LABELS_ONLY
    fraction = float(run.swept["data.labelled_fraction"])
    return [{"engine": part.engine, "labels": fraction, "way": way, "seed": run.seed, **scores_of(run)}]


def markdown(found: pd.DataFrame) -> str:
    """A table an engine and share of the labels; differences are to `uniform` that hears the teachers everywhere."""
    baseline = f"uniform, {POOL['true']}"
    differences = {"nll": f"NLL − {baseline}"}
    texts = []
    for (engine, fraction), own in found.sort_values("labels", kind="stable").groupby(
        ["engine", "labels"], sort=False
    ):
        texts.append(
            f"### digits: {engine}, {fraction:.0%} of the labels\n\n{table(own, HEADINGS, differences, baseline)}"
        )
    return "\n\n".join(texts)


def figure(found: pd.DataFrame) -> "Figure":
    """NLL against the share of the labels, a panel an engine."""
    drawn = [LABELS_ONLY, *(f"{way}, {pool}" for way in ("uniform", "learned") for pool in POOL.values())]
    lines = {
        str(engine): [
            Line.of(way, rows, "labels", "nll")
            for way, rows in own.groupby("way", sort=False)
            if way in drawn
        ]
        for engine, own in found.groupby("engine", sort=False)
    }
    return panels(lines, "share of the labels", "NLL on test rows", log_x=True)


if __name__ == "__main__":
    command("labels", __doc__, parts, rows_of, markdown, figure)
