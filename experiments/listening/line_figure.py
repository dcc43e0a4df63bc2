"""Small figures: means over seeds with 95 % t intervals, a line a way of listening."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mtbkd.report.svg import SERIES, report_style
from mtbkd.t_interval import t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", (0, (4, 2)))


@dataclass(frozen=True)
class Line:
    """x `[n]`; mean, half `[n]`: of the t interval at each; half is NaN for a single run."""

    name: str
    x: np.ndarray
    mean: np.ndarray
    half: np.ndarray

    @classmethod
    def of(cls, name: object, rows: pd.DataFrame, x: str, y: str) -> "Line":
        """The line of rows with columns x and y, several rows an x; an infinite mean is left out."""
        at = sorted(rows[x].unique())
        found = [t_interval(rows.loc[rows[x] == value, y]) for value in at]
        mean = np.array([one.mean if np.isfinite(one.mean) else np.nan for one in found])
        return cls(str(name), np.array(at, float), mean, np.array([one.half for one in found]))


def panels(lines: Mapping[str, Sequence[Line]], x: str, y: str, log_x: bool = False) -> "Figure":
    """A panel a title, side by side, with the same axes; lines of the same name have the same colour."""
    from matplotlib.figure import Figure

    lines = lines or {"": []}  # of a part none of whose runs is drawn
    names = list(dict.fromkeys(line.name for own in lines.values() for line in own))
    with report_style():
        width = max(5.0, 0.4 + 2.9 * len(lines))
        figure = Figure(figsize=(width, 3.2), layout="constrained", facecolor="white")
        axes = figure.subplots(1, len(lines), sharex=True, sharey=True, squeeze=False)[0]
        for panel, (title, own) in zip(axes, lines.items(), strict=True):
            for line in own:
                place = names.index(line.name)
                colour = SERIES[place % len(SERIES)]
                style = STYLES[place // len(SERIES) % len(STYLES)]
                half = np.nan_to_num(line.half)
                panel.fill_between(
                    line.x, line.mean - half, line.mean + half, color=colour, alpha=0.12, linewidth=0
                )
                panel.plot(
                    line.x,
                    line.mean,
                    color=colour,
                    linestyle=style,
                    marker="o",
                    markersize=3,
                    label=line.name,
                )
            panel.set_title(title)
            panel.set_xlabel(x)
            if log_x:  # labelled at the points: the style prints powers of ten as they are written
                panel.set_xscale("log")
                points = sorted({float(at) for line in own for at in line.x})
                panel.set_xticks(points, [f"{at:g}" for at in points])
                panel.minorticks_off()
        axes[0].set_ylabel(y)
        handles = {
            label: handle
            for panel in axes
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        columns = max(1, min(int(width / 2), len(handles)))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
    return figure
