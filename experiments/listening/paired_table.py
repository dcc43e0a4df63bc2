"""Means over seeds and differences to a baseline on the same seeds, with 95 % t intervals.

A seed is the same split, teachers and student for every way of listening, so that differences are taken seed by seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and the half-width of its t interval, NaN for a single value."""

    mean: float
    half: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0; never for a single value."""
        return self.count > 1 and abs(self.mean) > self.half


def t_interval(values: Sequence[float] | np.ndarray | pd.Series, level: float = LEVEL) -> Interval:
    """Student's interval of the mean, mean +- t_{n-1} sd / sqrt(n), sd with n - 1.

    values: one a seed; one that is missing (a score that is infinite) makes the mean infinite
    """
    found = np.asarray(values, np.float64)
    if not len(found) or np.isnan(found).any():
        return Interval(math.inf if len(found) else math.nan, math.nan, len(found))
    if len(found) == 1:
        return Interval(float(found[0]), math.nan, 1)
    quantile = float(stats.t.ppf(0.5 + level / 2, len(found) - 1))
    half = quantile * float(found.std(ddof=1)) / math.sqrt(len(found))
    return Interval(float(found.mean()), half, len(found))


def paired(one: pd.Series, baseline: pd.Series) -> Interval | None:
    """The interval of one minus the baseline, both by seed, on the seeds of both; None where a score is infinite."""
    seeds = one.index.intersection(baseline.index)
    difference = one.loc[seeds].astype(float) - baseline.loc[seeds].astype(float)
    return None if difference.isna().any() or not len(difference) else t_interval(difference)


def shown(found: Interval | None, signed: bool = False) -> str:
    """`mean ± half`; signed, with its sign, and a star where the interval excludes 0."""
    if found is None or math.isnan(found.mean):
        return ""
    if math.isinf(found.mean):
        return "∞"
    told = f"{found.mean:+.3f}" if signed else f"{found.mean:.3f}"
    told += "" if math.isnan(found.half) else f" ± {found.half:.3f}"
    return told + " *" * (signed and found.excludes_zero)


def table(
    found: pd.DataFrame, scores: Mapping[str, str], differences: Mapping[str, str], baseline: str | None
) -> str:
    """A Markdown table, a row a way.

    found: rows with `way`, `seed` and the scores; scores: their headings, a score that no run has is left out
    differences: headings of the scores whose difference to `baseline`, a way, is told
    """
    there = [name for name in scores if name in found and found[name].notna().any()]
    compared = [name for name in there if name in differences] if baseline in set(found["way"]) else []
    head = ["way", "seeds", *(scores[name] for name in there), *(differences[name] for name in compared)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    by_way = {str(way): rows.set_index("seed") for way, rows in found.groupby("way", sort=False)}
    for way, rows in by_way.items():
        cells = [way, str(len(rows)), *(shown(t_interval(rows[name])) for name in there)]
        for name in compared:
            itself = way == baseline
            cells.append(
                "" if itself else shown(paired(rows[name], by_way[str(baseline)][name]), signed=True)
            )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def overview(found: pd.DataFrame, score: str, across: str) -> str:
    """A Markdown table of one score: a row a way, a column a value of `across`, mean ± half of the seeds' interval."""
    columns = list(dict.fromkeys(found[across]))
    head = ["way", *(str(value).replace("_", " ") for value in columns)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for way, rows in found.groupby("way", sort=False):
        cells = (shown(t_interval(rows.loc[rows[across] == value, score])) for value in columns)
        lines.append(f"| {' | '.join([str(way), *cells])} |")
    return "\n".join(lines)
