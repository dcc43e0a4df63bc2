"""Figures by class: which class is taken for which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.report.figures import BLUE, VERMILION, labelled, panel, readable
from mtbkd.report.svg import INK, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mtbkd.report.figures import Predicted

NAMED = 30  # classes, up to which each has its name beside its row
NUMBERED = 12  # up to which each cell has its number


def confusion_counts(predicted: "Predicted", y: ArrayLike) -> np.ndarray:
    """Inputs of each true class (row) that were taken for each class (column), `[K, K]`."""
    probs, truth = labelled(predicted, y)
    k = probs.shape[1]
    return np.bincount(truth * k + probs.argmax(1), minlength=k * k).reshape(k, k)


@styled
def confusion_matrix(
    predicted: "Predicted", y: ArrayLike, class_names: Sequence[str] | None = None
) -> "Figure":
    """Which class is taken for which: a row a true class, coloured by its share of the row; right ones are blue.

    predicted: a Prediction, its summary, `[N, K]` or `[S, N, K]`; y: `[N]`, -1 unknown; class_names: K
    """
    from matplotlib.patches import Rectangle

    counts = confusion_counts(predicted, y)
    k = len(counts)
    names = [readable(name, 12) for name in class_names or range(k)]
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = panel(4.4, 4.2)
    axes = figure.subplots()
    # cells without an input are left out: of a thousand classes nearly all
    for i, j in zip(*counts.nonzero(), strict=True):
        colour = BLUE if i == j else VERMILION
        strength = 0.12 + 0.45 * share[i, j]
        axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, color=colour, alpha=strength, linewidth=0))
        if k <= NUMBERED:
            axes.annotate(f"{counts[i, j]}", (j, i), ha="center", va="center", fontsize=8, color=INK)
    axes.set(xlim=(-0.5, k - 0.5), ylim=(k - 0.5, -0.5), xlabel="predicted class", ylabel="true class")
    if k <= NAMED:
        turned = max(map(len, names)) > 3
        axes.set_xticks(range(k), names, rotation=90 if turned else 0)
        axes.set_yticks(range(k), names)
    axes.tick_params(length=0)
    axes.set_aspect("equal")
    if k > NUMBERED:
        axes.grid(visible=True, linewidth=0.4)
    else:
        axes.grid(visible=False)
    return figure
