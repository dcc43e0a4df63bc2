"""Figures of uncertainty: how much of it there is at inputs of the data and from elsewhere; what draws say of one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mtbkd.prediction import Prediction
from mtbkd.report.figures import BLUE, VERMILION, numbers, panel, readable, rows_of_names
from mtbkd.report.svg import MUTED, SURFACE, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BESIDE = 26  # letters of a name that stands beside another one


@styled
def uncertainty_histogram(
    inside: ArrayLike, outside: ArrayLike | None, kind: str, outside_name: str = "out of distribution"
) -> "Figure":
    """Distribution of an uncertainty over test inputs and, where given, out-of-distribution inputs.

    inside, outside: `[n]`, `[m]` nats; kind: "total", "epistemic" or "aleatoric"
    """
    figure = panel(2.9)
    axes = figure.subplots()
    sides = [("test inputs", numbers(inside), BLUE)]
    if outside is not None:
        sides.append((readable(outside_name, 60), numbers(outside), VERMILION))
    top = max(float(values.max()) for _, values, _ in sides) or 1.0
    bins = np.linspace(0, top, 31).tolist()
    for name, values, colour in sides:
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=weights, color=colour, alpha=0.25, histtype="stepfilled")
        axes.hist(values, bins, weights=weights, color=colour, histtype="step", linewidth=1.4, label=name)
    axes.set(xlabel=f"{kind} uncertainty, nats", ylabel="share of inputs", xlim=(0, top))
    figure.legend(loc="outside upper left", ncols=1 if len(outside_name) > BESIDE else 2)
    return figure


@styled
def class_probabilities(
    predicted: Prediction | ArrayLike,
    row: int = 0,
    class_names: Sequence[str] | None = None,
    teachers: Mapping[str, ArrayLike] | None = None,
    most: int = 12,
) -> "Figure":
    """What the student says of one input: mean and 90 % interval of its draws by class, beside each teacher's word.

    predicted: a Prediction, or draws `[S, N, K]`; row: which of the N inputs
    teachers: name by probabilities `[K]` or `[N, K]`; most: classes shown, the most probable first
    """
    probs = numbers(predicted.probs if isinstance(predicted, Prediction) else predicted)
    draws = (probs if probs.ndim == 3 else probs[None])[:, row]
    mean = draws.mean(0)
    shown = np.argsort(-mean, kind="stable")[:most]
    names = class_names or [f"class {k}" for k in range(len(mean))]
    figure = panel(0.9 + 0.26 * len(shown))
    axes = figure.subplots()
    low, high = np.quantile(draws[:, shown], [0.05, 0.95], axis=0)
    rows = np.arange(len(shown))
    axes.barh(rows, mean[shown], 0.62, color=BLUE, alpha=0.35, linewidth=0, label="student, mean")
    if len(draws) > 1:
        axes.hlines(rows, low, high, color=BLUE, linewidth=2, label="90% of its draws")
    for marker, (name, said) in zip("odsv^<>P*X" * 9, (teachers or {}).items(), strict=False):
        p = numbers(said)
        p = (p if p.ndim == 1 else p[row])[shown]
        axes.plot(
            p, rows, marker, color=VERMILION, markerfacecolor=SURFACE, markersize=5, label=readable(name)
        )
    rows_of_names(axes, [names[k] for k in shown])
    axes.set(xlim=(0, 1), xlabel="probability")
    axes.spines["left"].set_color(MUTED)
    figure.legend(loc="outside upper left", ncols=2)
    return figure
