"""Figures of a comparison: means with intervals, paired differences, quality against cost.

Each returns a matplotlib Figure of one panel, as those of the report do.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mtbkd.report.figures import BLUE, VERMILION, panel, readable, rows_of_names
from mtbkd.report.svg import INK, MUTED, SURFACE, styled
from mtbkd.report.tables import human_bytes
from mtbkd.t_interval import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 26
NEAR = 0.05  # of the range: labels of points that are closer would overlap
BELOW = 0.24  # single seeds lie under their mean, in rows


@styled
def interval_dots(
    names: Sequence[str],
    means: Sequence[Interval | None],
    values: Sequence[Sequence[float]],
    title: str,
    marked: Sequence[bool],
    zero: bool = False,
) -> "Figure":
    """A row an arm: the mean with its interval over the single seeds' values (pale).

    means: None where there is nothing to show, an infinite one is told at the edge; values: one a seed
    marked: drawn in the second colour; zero: a line at 0, for differences
    """
    figure = panel(0.9 + 0.34 * len(names))
    axes = figure.subplots()
    if zero:
        axes.axvline(0, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for i, (mean, own, second) in enumerate(zip(means, values, marked, strict=True)):
        colour = VERMILION if second else BLUE
        seeds = [value for value in own if np.isfinite(value)]
        axes.plot(
            seeds,
            np.full(len(seeds), i + BELOW),
            "o",
            color=colour,
            alpha=0.45,
            markersize=3.5,
            markeredgewidth=0,
        )
        if mean is None or not np.isfinite(mean.mean):
            told = "∞" if mean is not None and np.isinf(mean.mean) else "–"
            where, side = (0.98, "right") if told == "∞" else (0.02, "left")
            axes.annotate(
                told, (where, i), xycoords=("axes fraction", "data"), ha=side, va="center", color=MUTED
            )
            continue
        if np.isfinite(mean.half):
            axes.hlines(i, mean.low, mean.high, color=colour, linewidth=1.8)
        axes.plot(mean.mean, i, "o", color=colour, markersize=6.5)
    rows_of_names(axes, [readable(name, LONGEST) for name in names])
    axes.set_title(title)
    axes.margins(x=0.08)
    return figure


@styled
def quality_against_cost(
    cost: Sequence[float],
    quality: Sequence[Interval],
    labels: Sequence[str],
    front: Sequence[int],
    cost_title: str,
    quality_title: str,
    in_bytes: bool = False,
) -> "Figure":
    """Arms by cost (logarithmic where it spans more than fivefold) and quality, those on the Pareto front joined.

    cost: `[n]`; quality: means with intervals; labels: a short one each; front: places of those on it, by rising cost
    in_bytes: whether the cost is, for its ticks
    """
    from matplotlib.ticker import LogLocator, NullLocator

    figure = panel(3.1)
    axes = figure.subplots()
    means = np.array([one.mean for one in quality])
    costs = np.array(cost, float)
    axes.plot(costs[list(front)], means[list(front)], color=VERMILION, alpha=0.6, linewidth=1, zorder=1)
    for i, one in enumerate(quality):
        if not (np.isfinite(costs[i]) and np.isfinite(one.mean)):
            continue
        on_it = i in front
        colour = VERMILION if on_it else BLUE
        if np.isfinite(one.half):
            axes.vlines(costs[i], one.low, one.high, color=colour, linewidth=1, alpha=0.6)
        axes.plot(
            costs[i], one.mean, "o", color=colour, markersize=6, markerfacecolor=None if on_it else SURFACE
        )
    for at, text in joined_labels(costs, means, labels):
        axes.annotate(text, at, xytext=(5, 4), textcoords="offset points", fontsize=8, color=INK)
    known = costs[np.isfinite(costs) & (costs > 0)]
    if len(known) == len(costs) and known.max() > 5 * known.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: human_bytes(value) if in_bytes else f"{value:g}")
    axes.set(xlabel=cost_title, title=quality_title)
    axes.margins(x=0.12, y=0.1)
    return figure


def joined_labels(
    x: np.ndarray, y: np.ndarray, labels: Sequence[str]
) -> list[tuple[tuple[float, float], str]]:
    """Where labels stand and what they say: of points so close that theirs would overlap, one with all, `2, 4`.

    x, y: `[n]`; points that are not finite have none
    """
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return []
    near = [NEAR * (float(np.ptp(values[known])) or 1.0) for values in (x, y)]
    found: list[tuple[tuple[float, float], str]] = []
    for i in np.flatnonzero(known).tolist():
        at = (float(x[i]), float(y[i]))
        for place, ((left, level), text) in enumerate(found):
            if abs(at[0] - left) < near[0] and abs(at[1] - level) < near[1]:
                found[place] = ((left, level), f"{text}, {labels[i]}")
                break
        else:
            found.append((at, labels[i]))
    return found
