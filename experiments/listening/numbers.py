"""Part 4: from 1 to 16 teachers, what they add and what they cost.

    python -m experiments.listening.numbers [--quick] [--seeds 5] [--jobs 1]

Digits with 5 % of the labels; the first so many of `teachers=sixteen`: logistic regressions, forests, nearest
neighbours and naive Bayes in turn, each trained on a quarter of the rows, which the next one does not share wholly.
`seconds` are of the student alone, its teachers asked before; `teachers` those that training and asking them took,
once.
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

NAMES = tuple(f"t{number:02d}" for number in range(1, 17))
COUNTS = (1, 2, 4, 8, 16)
WAYS = ("uniform", "entropy", "learned", "stacking")


def parts(settings: Settings) -> list[Part]:
    """All sweeps of this part."""
    found = []
    for engine in ("map",) if settings.quick else ("map", "svi"):
        words, seconds = DIGITS.with_engine(engine, settings.quick)
        words = tuple(word for word in words if not word.startswith("teachers="))
        asked = tuple(f"[{','.join(NAMES[:number])}]" for number in COUNTS)
        swept = {"teachers.only": asked, "weighting": WAYS, "seed": settings.seeds_word()}
        sweep = Sweep(f"numbers-{engine}", (*words, "teachers=sixteen", settings.cache), swept, seconds)
        found.append(Part(sweep, DIGITS.title, engine))
    return found


def rows_of(part: Part, run: Run) -> list[Row]:
    """Its scores, with the best teacher's accuracy and the ensemble's."""
    metrics = run.metrics
    teachers = metrics["teachers"].values()
    told = {
        "engine": part.engine,
        "teachers": len(teachers),
        "way": run.swept["weighting"],
        "seed": run.seed,
    }
    quality = {"ensemble_accuracy": metrics["teacher_ensemble"]["accuracy"]}
    quality |= {"best_teacher_accuracy": max(teacher["accuracy"] for teacher in teachers)}
    costs = {"teachers_seconds": sum(teacher["seconds"] for teacher in teachers)}
    return [{**told, **scores_of(run), **quality, **costs}]


def markdown(found: pd.DataFrame) -> str:
    """A table an engine and number of teachers."""
    headings = {
        **HEADINGS,
        "ensemble_accuracy": "teachers' mean, accuracy",
        "best_teacher_accuracy": "best teacher, accuracy",
        "seconds": "seconds",
        "teachers_seconds": "seconds of the teachers",
    }
    return "\n\n".join(
        f"### {DIGITS.title}: {engine}, {number} teacher{'s' * (number > 1)}\n\n"
        + table(own, headings, {"nll": "NLL − uniform"}, "uniform")
        for (engine, number), own in found.groupby(["engine", "teachers"], sort=False)
    )


def figure(found: pd.DataFrame) -> "Figure":
    """NLL against the number of teachers, a panel an engine."""
    lines = {
        str(engine): [Line.of(way, rows, "teachers", "nll") for way, rows in own.groupby("way", sort=False)]
        for engine, own in found.groupby("engine", sort=False)
    }
    return panels(lines, "teachers", "NLL on test rows", log_x=True)


if __name__ == "__main__":
    command("numbers", __doc__, parts, rows_of, markdown, figure)
