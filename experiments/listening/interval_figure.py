"""A figure of differences with their 95 % t intervals: a row a way of listening, a panel a data set."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mtbkd.report.svg import INK, SERIES, report_style
from mtbkd.t_interval import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By title, then by series, then by way.
Panels = Mapping[str, Mapping[str, Mapping[str, Interval | None]]]


def interval_panels(panels: Panels, x: str) -> "Figure":
    """A panel a title, side by side, each with its own scale and a line at no difference; a colour a series."""
    from matplotlib.figure import Figure

    panels = panels or {"": {}}  # of a part none of whose runs is drawn
    ways = list(dict.fromkeys(way for own in panels.values() for one in own.values() for way in one))
    names = list(dict.fromkeys(name for own in panels.values() for name in own))
    with report_style():
        size = (1.4 + 2.2 * len(panels), 1.2 + 0.24 * len(ways))
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        handles = {}
        for panel, (title, own) in zip(axes, panels.items(), strict=True):
            panel.axvline(0, color=INK, linewidth=0.8)
            for name, one in own.items():
                place = names.index(name)
                apart = 0.7 * (place - (len(names) - 1) / 2) / len(names)
                there = {ways.index(way) + apart: found for way, found in one.items() if found is not None}
                handles[name] = panel.errorbar(
                    [found.mean for found in there.values()],
                    list(there),
                    xerr=[found.half for found in there.values()],
                    fmt="o",
                    markersize=3,
                    linewidth=1.2,
                    color=SERIES[place % len(SERIES)],
                )
            panel.set_title(title)
            panel.set_xlabel(x)
            panel.locator_params(axis="x", nbins=5)
        axes[0].set_yticks(range(len(ways)), ways)
        axes[0].set_ylim(max(len(ways), 1) - 0.5, -0.5)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles) or 1)
    return figure
