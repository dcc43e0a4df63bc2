"""Figures of a report: calibration, uncertainties, teachers, comparison of models.

Each function returns a matplotlib Figure of one panel, narrow enough to be read on a phone; the page sets them
side by side where there is room. None of them touches pyplot's global state.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mtbkd.evaluation.calibration import Reliability
from mtbkd.report.svg import INK, MUTED, SERIES, SURFACE, styled
from mtbkd.report.tables import ModelRow, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.9  # inches
BLUE, VERMILION = SERIES[0], SERIES[1]


@styled
def reliability_diagram(data: Reliability) -> "Figure":
    """Accuracy against confidence by bin, with the band of a perfectly calibrated student and the bin counts."""
    figure = panel(4.3)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    filled = data.count > 0
    left, width = data.edges[:-1][filled], np.diff(data.edges)[filled]
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    top.bar(
        left,
        (data.high - data.low)[filled],
        width,
        bottom=data.low[filled],
        align="edge",
        color=BLUE,
        alpha=0.18,
        linewidth=0,
        label="perfect calibration, 95%",
    )
    top.plot(
        data.confidence[filled],
        data.accuracy[filled],
        color=BLUE,
        marker="o",
        markersize=4.5,
        label="the student",
    )
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    figure.legend(loc="outside upper left", ncols=2)
    bottom.bar(left, data.count[filled], width * 0.9, align="edge", color=MUTED, alpha=0.6)
    bottom.set(xlabel="confidence", ylabel="inputs")
    bottom.yaxis.get_major_locator().set_params(nbins=2, integer=True)
    return figure


@styled
def uncertainty_histogram(
    inside: np.ndarray, outside: np.ndarray | None, kind: str, outside_name: str = "out of distribution"
) -> "Figure":
    """Distribution of an uncertainty over test inputs and, where given, out-of-distribution inputs.

    inside, outside: `[n]`, `[m]` nats; kind: "total" or "epistemic"
    """
    figure = panel(2.9)
    axes = figure.subplots()
    sides = [("test inputs", inside, BLUE)]
    if outside is not None:
        sides.append((readable(outside_name, 36), outside, VERMILION))
    top = max(float(values.max()) for _, values, _ in sides) or 1.0
    bins = np.linspace(0, top, 31).tolist()
    for name, values, colour in sides:
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=weights, color=colour, alpha=0.25, histtype="stepfilled")
        axes.hist(values, bins, weights=weights, color=colour, histtype="step", linewidth=1.4, label=name)
    axes.set(xlabel=f"{kind} uncertainty, nats", ylabel="share of inputs", xlim=(0, top))
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def teacher_voices(
    names: Sequence[str], weights: np.ndarray, responsibilities: np.ndarray | None
) -> "Figure":
    """What each teacher was to weigh and what it did: ranges over inputs of weights and responsibilities.

    weights, responsibilities: `[N, M]`
    """
    figure = panel(1.1 + 0.5 * len(names))
    axes = figure.subplots()
    rows = np.arange(len(names))
    both = responsibilities is not None
    _ranges(axes, rows - 0.14 * both, weights, BLUE, "o", "weight, before")
    if responsibilities is not None:
        _ranges(axes, rows + 0.14, responsibilities, VERMILION, "s", "responsibility, after")
    axes.axvline(1 / len(names), color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlim=(-0.02, 1.02), ylim=(len(names) - 0.5, -0.5), xlabel="share at an input")
    axes.set_yticks(rows, [readable(name) for name in names], color=INK)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def model_dots(rows: Sequence[ModelRow], column: str, title: str) -> "Figure":
    """One score of every model as dots; for the ECE with the range that chance gives a calibrated model.

    column: a key of the models' metrics
    """
    figure = panel(0.9 + 0.3 * len(rows))
    axes = figure.subplots()
    for i, row in enumerate(rows):
        value = row.metrics.get(column)
        low, high = row.metrics.get(f"{column}_band_low"), row.metrics.get(f"{column}_band_high")
        if low is not None and high is not None:
            axes.plot([low, high], [i, i], color=MUTED, alpha=0.35, linewidth=7, solid_capstyle="butt")
        if value is None:
            # too large to be drawn, or not there at all
            where, side = (0.98, "right") if row.metrics.get("impossible") else (0.02, "left")
            text = shown(column, row.metrics)
            axes.annotate(
                text, (where, i), xycoords=("axes fraction", "data"), ha=side, va="center", color=MUTED
            )
            continue
        taught = row.role in ("teacher", "ensemble")
        student = row.role == "student"
        axes.plot(
            value,
            i,
            marker="o",
            markersize=8 if student else 6,
            color=VERMILION if student else BLUE,
            markerfacecolor=SURFACE if taught else None,
            markeredgewidth=1.5,
        )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [readable(row.name) for row in rows], color=INK)
    axes.set_title(title)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.1)
    if column == "ece":
        axes.set_xlim(left=0)
    if column == "accuracy":
        axes.xaxis.set_major_formatter("{x:.0%}")
    return figure


def readable(name: str, length: int = 24) -> str:
    """A name fit for a figure: printable, one line, shortened."""
    clean = "".join(c for c in str(name) if c.isprintable())
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def panel(height: float) -> "Figure":
    """An empty figure of the report's width and the given height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def _ranges(axes: "Axes", rows: np.ndarray, shares: np.ndarray, colour: str, marker: str, label: str) -> None:
    low, lower, upper, high = np.quantile(shares, [0.05, 0.25, 0.75, 0.95], axis=0)
    axes.hlines(rows, low, high, color=colour, linewidth=1)
    axes.hlines(rows, lower, upper, color=colour, linewidth=5, alpha=0.4)
    axes.plot(shares.mean(0), rows, marker, color=colour, markersize=5.5, label=label)
