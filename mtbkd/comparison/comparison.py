"""One comparison: arms, scores, means over seeds, differences to a baseline, and what is to be known of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtbkd.comparison.arms import Arm, arms_of
from mtbkd.comparison.choice import Choice, choose
from mtbkd.comparison.pairs import Baseline, baseline_of, difference
from mtbkd.comparison.runs import Run, read_runs
from mtbkd.comparison.scores import COSTS, DEFAULT
from mtbkd.errors import InputError, nearest
from mtbkd.evaluation.directions import better
from mtbkd.t_interval import LEVEL, Interval, t_interval

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Row:
    """One arm's figures.

    means, differences: by score, over the arm's own seeds and over those that it shares with its baseline; a
        difference is None where there is none to tell
    baseline: the arm that it is compared with, None for the baseline itself
    """

    arm: Arm
    baseline: Arm | None
    means: Mapping[str, Interval]
    differences: Mapping[str, Interval | None]

    def cost(self, name: str) -> float:
        """The median over seeds of what is measured by the clock or in bytes; NaN where no run has it."""
        values = list(self.arm.values(name).values())
        return float(np.median(values)) if values else float("nan")

    def best(self, score: str) -> bool | None:
        """Whether it is surely better than its baseline (True) or worse (False), None where that is not told."""
        found = self.differences[score]
        if found is None or not found.excludes_zero or better(score) is None:
            return None
        return (found.mean > 0) == (better(score) == "larger")


@dataclass(frozen=True)
class Comparison:
    """All that a page or a table tells.

    keys: settings that tell the arms apart; runs: all, of any state; notes: of runs left out
    """

    runs: Sequence[Run]
    keys: Sequence[str]
    scores: Sequence[str]
    rows: Sequence[Row]
    baseline: Baseline
    choice: Choice
    notes: Sequence[str]

    @property
    def failed(self) -> list[Run]:
        """Runs without scores, each with its error."""
        return [run for run in self.runs if not run.finished]

    @property
    def told(self) -> list[tuple[Row, str, Interval]]:
        """All differences that have an interval: how many comparisons there are."""
        return [
            (row, score, found)
            for row in self.rows
            for score, found in row.differences.items()
            if found is not None and found.count > 1
        ]

    def surviving(self) -> int:
        """How many differences exclude 0 when the level is shared among all of them (Bonferroni)."""
        level = 1 - (1 - LEVEL) / max(1, len(self.told))
        found = (
            difference(row.arm, row.baseline, score, level) for row, score, _ in self.told if row.baseline
        )
        return sum(one is not None and one.excludes_zero for one in found)


def comparison_of(
    runs: Sequence[Run], baseline: Sequence[str] = (), scores: Sequence[str] = (), models: Sequence[str] = ()
) -> Comparison:
    """Compare the finished ones of these runs.

    baseline: `KEY=VALUE` of it, none: the first configuration; scores: none: accuracy, nll, ece as far as there are
    models: none: the student, or all where there is one configuration
    Raises `InputError` for words that fit no run.
    """
    arms, notes = arms_of(runs, models)
    if not arms:
        return Comparison(
            runs, (), scores, (), Baseline({}, False), Choice(None, "no run is finished"), notes
        )
    there = {score: None for arm in arms for run in arm.runs.values() for score in run.scores[arm.model]}
    for score in scores:
        if score not in there:
            raise InputError(f"--scores {score}: no compared run has this score; {nearest(score, there)}")
    wanted = tuple(scores) or tuple(score for score in DEFAULT if score in there)
    chosen = baseline_of(arms, baseline)
    rows = [row_of(arm, chosen.of(arm, arms), wanted) for arm in arms]
    return Comparison(runs, tuple(arms[0].settings), wanted, rows, chosen, choose(arms), notes)


def row_of(arm: Arm, baseline: Arm | None, scores: Sequence[str]) -> Row:
    """One arm's means, and differences to its baseline."""
    means = {score: t_interval(list(arm.values(score).values())) for score in scores}
    differences = {score: None if baseline is None else difference(arm, baseline, score) for score in scores}
    return Row(arm, baseline, means, differences)


def over_seeds(
    folders: Iterable[Path | str],
    baseline: Sequence[str] = (),
    scores: Sequence[str] = (),
    models: Sequence[str] = (),
) -> "DataFrame":
    """A row a configuration, model and score: mean over seeds and paired difference to the baseline, with intervals.

    baseline: `KEY=VALUE` of it; see `comparison_of`
    """
    return means_table(comparison_of(read_runs(folders), baseline, scores, models))


def means_table(found: Comparison) -> "DataFrame":
    """The same of a comparison; costs are medians over seeds."""
    import pandas as pd

    rows = []
    for row in found.rows:
        for score, mean in row.means.items():
            gap = row.differences[score]
            rows.append(
                {
                    **dict(row.arm.settings),
                    "model": row.arm.model,
                    "score": score,
                    "seeds": mean.count,
                    "mean": mean.mean,
                    "half_width": mean.half,
                    "baseline": row.baseline.name if row.baseline else "",
                    "pairs": gap.count if gap else 0,
                    "difference": gap.mean if gap else np.nan,
                    "difference_half_width": gap.half if gap else np.nan,
                    **{cost: row.cost(cost) for cost in (*COSTS, "fit_s")},
                }
            )
    return pd.DataFrame(rows)
