"""Means over seeds and differences to a baseline on the same seeds, with 95 % t intervals.

A seed is the same split, teachers and student for every way of listening, so that differences are taken seed by seed.
"""

from collections.abc import Mapping

import pandas as pd

from mtbkd.t_interval import Interval, paired_interval, shown, t_interval


def starred(found: Interval | None) -> str:
    """A difference with its sign, and a star where the interval excludes 0."""
    return shown(found, signed=True) + " *" * (found is not None and found.excludes_zero)


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
    to_baseline = [paired(found, name, str(baseline)) for name in compared]
    for way, rows in found.groupby("way", sort=False):
        cells = [str(way), str(len(rows)), *(shown(t_interval(rows[name])) for name in there)]
        cells += [starred(own.get(str(way))) for own in to_baseline]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def paired(found: pd.DataFrame, score: str, baseline: str) -> dict[str, Interval | None]:
    """Each way's difference to the baseline in a score, over the seeds of both; none where the baseline is not."""
    by_way = {str(way): dict(rows.set_index("seed")[score]) for way, rows in found.groupby("way", sort=False)}
    others = (way for way in by_way if way != baseline and baseline in by_way)
    return {way: paired_interval(by_way[way], by_way[baseline]) for way in others}


def differences_overview(found: pd.DataFrame, score: str, across: str, baseline: str) -> str:
    """A Markdown table of one score's differences to a baseline: a row a way, a column a value of `across`."""
    columns = {str(value): paired(rows, score, baseline) for value, rows in found.groupby(across, sort=False)}
    ways = dict.fromkeys(way for own in columns.values() for way in own)
    lines = [f"| way | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for way in ways:
        cells = (starred(own.get(way)) for own in columns.values())
        lines.append(f"| {' | '.join([way, *cells])} |")
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
