"""Figures of teachers: weights and responsibilities, disagreement, what the answer hangs on, how weights were found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.report.figures import (
    BLUE,
    DASHED,
    VERMILION,
    numbers,
    panel,
    readable,
    rows_of_names,
    series_colours,
)
from mtbkd.report.svg import INK, LINE, MUTED, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 300  # of a course: more than the pixels it is drawn on
NUMBERED = 9  # teachers, up to which a number fits into each cell


@styled
def teacher_voices(
    names: Sequence[str], weights: ArrayLike, responsibilities: ArrayLike | None = None
) -> "Figure":
    """What each teacher was to weigh and what it did: ranges over inputs of weights and responsibilities.

    weights, responsibilities: `[N, M]`; mark: mean, thick: middle half, thin: middle 90 %
    """
    figure = panel(1.1 + 0.5 * len(names))
    axes = figure.subplots()
    rows = np.arange(len(names))
    both = responsibilities is not None
    _ranges(axes, rows - 0.14 * both, numbers(weights), BLUE, "o", "weight, before")
    if responsibilities is not None:
        _ranges(axes, rows + 0.14, numbers(responsibilities), VERMILION, "s", "responsibility, after")
    axes.axvline(1 / len(names), color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.set(xlim=(-0.02, 1.02), xlabel="share at an input")
    rows_of_names(axes, list(names))
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def disagreement_matrix(names: Sequence[str], disagreement: ArrayLike) -> "Figure":
    """How often each two name different classes, as a heat map; the darker, the more.

    disagreement: `[M, M]` shares of inputs in [0, 1], symmetric, 0 on the diagonal
    """
    from matplotlib.patches import Rectangle

    shares, m = numbers(disagreement), len(names)
    figure = panel(1.3 + min(0.55 * m, 4.2))
    axes = figure.subplots()
    most = float(np.nanmax(shares)) or 1.0
    for i in range(m):
        for j in range(m):
            # strong enough to be told apart, pale enough for the number on it, in the light and in the dark
            strength = 0.06 + 0.5 * shares[i, j] / most if i != j else 0.0
            axes.add_patch(
                Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, color=BLUE, alpha=strength, linewidth=0)
            )
            if m <= NUMBERED:
                text = f"{shares[i, j]:.1%}" if i != j else "–"
                axes.annotate(
                    text, (j, i), ha="center", va="center", fontsize=8, color=INK if i != j else MUTED
                )
    axes.set(xlim=(-0.5, m - 0.5))
    rows_of_names(axes, list(names))
    turned = m > 3 or max(map(len, names)) > 12
    axes.set_xticks(
        range(m),
        [readable(name, 18) for name in names],
        rotation=30 if turned else 0,
        ha="right" if turned else "center",
    )
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


@styled
def teacher_sensitivity(names: Sequence[str], sensitivity: ArrayLike, by_chance: ArrayLike) -> "Figure":
    """How much the student's answer hangs on each teacher, against what as many draws would show by chance.

    sensitivity, by_chance: `[M]` power-scaling sensitivities, NaN where unknown
    Source: Kallioinen, Paananen, Bürkner and Vehtari 2024
    """
    found, chance = numbers(sensitivity), numbers(by_chance)
    figure = panel(1.0 + 0.36 * len(names))
    axes = figure.subplots()
    rows = np.arange(len(names))
    axes.barh(rows, chance, 0.6, color=MUTED, alpha=0.3, linewidth=0, label="by chance")
    axes.plot(found, rows, "o", color=BLUE, markersize=7, label="of the student")
    rows_of_names(axes, list(names))
    axes.set_xlim(left=0)
    axes.margins(x=0.08)
    axes.set_xlabel("power-scaling sensitivity")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def weight_course(names: Sequence[str], course: ArrayLike) -> "Figure":
    """How the teachers' weights came to be: their mean in each mini-batch while they were learned.

    course: `[T, M]`, rows sum to 1; thinned to block means that can be seen
    """
    values = numbers(course)
    figure = panel(2.9)
    axes = figure.subplots()
    steps, means = block_means(values)
    for m, (name, colour) in enumerate(series_colours(list(names)).items()):
        axes.plot(steps, means[:, m], color=colour, label=readable(name))
    axes.axhline(1 / len(names), color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.set(xlabel="step", ylabel="mean weight", xlim=(0, max(1, len(values) - 1)), ylim=(0, 1.02))
    figure.legend(loc="outside upper left", ncols=min(3, len(names)))
    return figure


@styled
def row_scale(scale: ArrayLike) -> "Figure":
    """How loud the teachers are together, as a histogram over inputs; 1 is as loud as they are without a scale.

    scale: `[N]`, >= 0
    """
    values = numbers(scale)
    figure = panel(2.5)
    axes = figure.subplots()
    top = max(float(values.max()) * 1.02, 1.05)
    counts, edges = np.histogram(values, 40, (0, top))
    axes.bar(
        edges[:-1], counts / len(values), np.diff(edges), align="edge", color=BLUE, alpha=0.45, edgecolor=LINE
    )
    axes.axvline(1, color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.set(xlabel="scale of the teachers' factor at an input", ylabel="share of inputs", xlim=(0, top))
    return figure


def block_means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps `[B]` and means `[B, M]` of at most 2 POINTS blocks of a course `[T, M]`."""
    width = max(1, len(values) // POINTS)
    whole = values[: len(values) // width * width]
    steps = np.arange(len(whole)).reshape(-1, width).mean(1)
    return steps, whole.reshape(-1, width, whole.shape[1]).mean(1)


def _ranges(axes: "Axes", rows: np.ndarray, shares: np.ndarray, colour: str, marker: str, label: str) -> None:
    low, lower, upper, high = np.quantile(shares, [0.05, 0.25, 0.75, 0.95], axis=0)
    axes.hlines(rows, low, high, color=colour, linewidth=1)
    axes.hlines(rows, lower, upper, color=colour, linewidth=5, alpha=0.4)
    axes.plot(shares.mean(0), rows, marker, color=colour, markersize=5.5, label=label)
