"""Figures of honesty: reliability of one model and of several, risk against coverage, sizes of conformal sets."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.evaluation import calibration, selective
from mtbkd.report.figures import (
    BLUE,
    DASHED,
    labelled,
    numbers,
    panel,
    readable,
    rows_of_names,
    series_colours,
)
from mtbkd.report.svg import MUTED, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mtbkd.evaluation.conformal import ConformalCoverage
    from mtbkd.report.figures import Predicted

MOST_CLASSES = 20  # of sets by class, those with the largest
POINTS = 200  # of a curve: more than the pixels it is drawn on


def reliability_data(
    predicted: "Predicted", y: ArrayLike, bins: int = calibration.BINS, repetitions: int = 1000
) -> calibration.Reliability:
    """The numbers of a reliability diagram; its band is of a fixed seed, so that a page is the same each time.

    repetitions: simulated for the band, 1 where it is not looked at
    """
    known = labelled(predicted, y)
    return calibration.reliability(*known, np.random.default_rng(0), repetitions=repetitions, bins=bins)


@styled
def reliability_diagram(
    predicted: "Predicted", y: ArrayLike, name: str = "the student", bins: int = calibration.BINS
) -> "Figure":
    """Accuracy against confidence by bin, with the band of a perfectly calibrated model and the bin counts.

    predicted: a Prediction, its summary, probabilities `[N, K]` or draws `[S, N, K]`; y: `[N]`, -1 unknown
    Source: Bröcker and Smith 2007 (the band)
    """
    data = reliability_data(predicted, y, bins)
    figure = panel(4.3)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    filled = data.count > 0
    left, width = data.edges[:-1][filled], np.diff(data.edges)[filled]
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=DASHED, zorder=1)
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
        clip_on=False,  # points at 0 and 1 are whole
        zorder=3,
        label=readable(name),
    )
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    figure.legend(loc="outside upper left", ncols=2)
    bottom.bar(left, data.count[filled], width * 0.9, align="edge", color=MUTED, alpha=0.6)
    bottom.set(xlabel="confidence", ylabel="inputs")
    bottom.yaxis.get_major_locator().set_params(nbins=2, integer=True)
    return figure


@styled
def reliability_curves(
    models: "Mapping[str, Predicted]", y: ArrayLike, bins: int = calibration.BINS
) -> "Figure":
    """Reliability of several models in one picture: accuracy against confidence, a larger mark where more inputs are.

    models: name by Prediction, summary, `[N, K]` or `[S, N, K]`; y: `[N]`, -1 unknown
    """
    figure = panel(4.1)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=DASHED, zorder=1)
    for name, colour in series_colours(models).items():
        data = reliability_data(models[name], y, bins, repetitions=1)
        filled = data.count > 0
        x, accuracy = data.confidence[filled], data.accuracy[filled]
        # marks carry the picture: a line between bins of few inputs jumps
        axes.plot(x, accuracy, color=colour, linewidth=0.8, alpha=0.35)
        sizes = 8 + 90 * data.count[filled] / data.count.sum()
        axes.scatter(
            x, accuracy, s=sizes, color=colour, linewidth=0, clip_on=False, zorder=3, label=readable(name)
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def risk_coverage_curve(models: "Mapping[str, Predicted]", y: ArrayLike) -> "Figure":
    """Error rate among the surest inputs, for every share that is answered; models are sure by their confidence.

    models: name by Prediction, summary, `[N, K]` or `[S, N, K]`, the first drawn strongest; y: `[N]`, -1 unknown
    Source: El-Yaniv and Wiener 2010
    """
    figure = panel(3.4)
    axes = figure.subplots()
    for i, (name, colour) in enumerate(series_colours(models).items()):
        coverage, risk = risk_coverage(models[name], y)
        axes.plot(
            coverage,
            risk,
            color=colour,
            linewidth=2.2 if i == 0 else 1.2,
            zorder=3 if i == 0 else 2,
            drawstyle="default",
            label=readable(name),
        )
    axes.set(xlim=(0, 1), xlabel="coverage: share of inputs answered", ylabel="risk: error rate among them")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def risk_coverage(predicted: "Predicted", y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and risk of a model that is sure by its confidence, thinned to what can be seen."""
    probs, truth = labelled(predicted, y)
    coverage, risk = selective.risk_coverage(probs.max(1), probs.argmax(1) == truth)
    kept = np.unique(np.linspace(0, len(risk) - 1, min(POINTS, len(risk))).astype(int))
    return coverage[kept], risk[kept]


@styled
def conformal_sizes(coverage: "Mapping[str, ConformalCoverage]", class_names: Sequence[str]) -> "Figure":
    """Mean number of classes in the conformal sets of the inputs of each true class, a mark a way of making sets.

    coverage: of `evaluation.conformal.conformal_coverage`, by what the sets are called; class_names: K
    """
    size = {name: numbers(one.size_by_class) for name, one in coverage.items()}
    shown = np.argsort(-np.nan_to_num(next(iter(size.values()))), kind="stable")[:MOST_CLASSES]
    figure = panel(1.0 + 0.24 * len(shown))
    axes = figure.subplots()
    rows = np.arange(len(shown))
    for marker, (name, colour) in zip("os^D" * len(size), series_colours(size).items(), strict=False):
        axes.plot(size[name][shown], rows, marker, color=colour, markersize=5, label=readable(name))
    rows_of_names(axes, [class_names[k] for k in shown])
    axes.axvline(1, color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.set_xlim(left=0)
    axes.set_xlabel("mean number of classes in a set")
    figure.legend(loc="outside upper left", ncols=2)
    return figure
