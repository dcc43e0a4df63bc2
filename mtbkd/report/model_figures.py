"""Figures that set models, and the stages of a run, side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtbkd.report.figures import BLUE, VERMILION, panel, readable, rows_of_names
from mtbkd.report.svg import INK, MUTED, SURFACE, styled
from mtbkd.report.tables import ModelRow, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def model_dots(rows: Sequence[ModelRow], column: str, title: str) -> "Figure":
    """One score of every model as dots with their intervals; for the ECE on the range that chance gives a calibrated
    model.

    rows: of `model_rows(metrics)`; column: a key of the models' metrics, with its interval in COLUMN_low and
        COLUMN_high where there is one
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
        colour = VERMILION if student else BLUE
        low, high = row.metrics.get(f"{column}_low"), row.metrics.get(f"{column}_high")
        if low is not None and high is not None and column != "ece":  # which stands on its band
            axes.hlines(i, low, high, color=colour, linewidth=1.2, alpha=0.8)
        axes.plot(
            value,
            i,
            marker="o",
            markersize=8 if student else 6,
            color=colour,
            markerfacecolor=SURFACE if taught else None,
            markeredgewidth=1.5,
        )
    rows_of_names(axes, [row.name for row in rows])
    axes.set_title(title)
    axes.margins(x=0.1)
    if column == "ece":
        axes.set_xlim(left=0)
    if column == "accuracy":
        axes.xaxis.set_major_formatter("{x:.0%}")
    return figure


@styled
def stage_times(seconds: Mapping[str, float]) -> "Figure":
    """Where the time of a run went: seconds a stage, in the order they were done.

    seconds: by stage
    """
    figure = panel(0.7 + 0.3 * len(seconds))
    axes = figure.subplots()
    values = list(seconds.values())
    axes.barh(range(len(values)), values, 0.6, color=BLUE, alpha=0.55, linewidth=0)
    for i, value in enumerate(values):
        axes.annotate(f" {_time(value)}", (value, i), va="center", fontsize=8, color=INK)
    rows_of_names(axes, [readable(name) for name in seconds])
    axes.set_xlim(0, 1.25 * max([*values, 1e-9]))
    axes.set_xlabel("seconds")
    return figure


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
