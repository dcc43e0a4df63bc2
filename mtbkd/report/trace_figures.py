"""Figures of inference: traces and ranks of chains in function space, their energies, the loss of an optimisation."""

from typing import TYPE_CHECKING

import numpy as np

from mtbkd.evaluation.energy import energy_changes
from mtbkd.report.figures import BLUE, VERMILION, panel
from mtbkd.report.svg import MUTED, SERIES, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 300  # a line: more than the pixels it is drawn on
RANK_BINS = 20
ENERGY_BINS = 40


@styled
def chain_trace(values: np.ndarray, label: str) -> "Figure":
    """A quantity along each chain, thinned to what can be seen.

    values: `[C, S]`; chains that mix are one fuzzy band
    """
    figure = panel(2.6)
    axes = figure.subplots()
    step = max(1, values.shape[1] // POINTS)
    draws = np.arange(0, values.shape[1], step)
    for c, chain in enumerate(values):
        axes.plot(draws, chain[::step], color=SERIES[c % len(SERIES)], linewidth=0.7, alpha=0.8)
    axes.set(xlabel="draw", ylabel=label, xlim=(0, max(1, values.shape[1] - 1)))
    return figure


@styled
def chain_ranks(values: np.ndarray, label: str) -> "Figure":
    """Rank histogram of each chain among all draws; chains that mix are all flat.

    values: `[C, S]`
    Source: Vehtari et al. 2021, fig. 5
    """
    from scipy.stats import rankdata

    figure = panel(2.6)
    axes = figure.subplots()
    ranks = rankdata(values).reshape(values.shape)
    bins = np.linspace(0, values.size, RANK_BINS + 1)
    for c, chain in enumerate(ranks):
        share = np.histogram(chain, bins)[0] / len(chain)
        axes.stairs(share, bins, color=SERIES[c % len(SERIES)], linewidth=1.1, alpha=0.85)
    axes.axhline(1 / RANK_BINS, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlabel=f"rank: {label}", ylabel="share of a chain", xlim=(0, values.size))
    axes.set_ylim(bottom=0)
    return figure


@styled
def energy_spread(energy: np.ndarray) -> "Figure":
    """Energies about their chain's mean, and their changes from one iteration to the next, as densities.

    energy: `[C, S]` nats, S >= 2
    Source: Betancourt 2016
    """
    figure = panel(2.6)
    axes = figure.subplots()
    centred, changes = energy_changes(energy)
    widest = max(np.abs(centred).max(), np.abs(changes).max()) or 1.0
    bins = np.linspace(-widest, widest, ENERGY_BINS + 1)
    for values, label, colour in ((centred, "energies", BLUE), (changes, "their changes", VERMILION)):
        density = np.histogram(values, bins, density=True)[0]
        axes.stairs(density, bins, color=colour, linewidth=1.3, label=label)
        axes.stairs(density, bins, color=colour, fill=True, alpha=0.12)
    axes.set(xlabel="energy about its chain's mean, nats", ylabel="density", xlim=(-widest, widest))
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def loss_trace(losses: np.ndarray) -> "Figure":
    """The loss a step and its running mean; the first tenth may leave the frame at the top.

    losses: `[T]` nats per datum
    """
    figure = panel(2.6)
    axes = figure.subplots()
    finite = np.where(np.isfinite(losses), losses, np.nan)
    width = max(1, len(losses) // POINTS)
    whole = finite[: len(finite) // width * width].reshape(-1, width)
    steps = (np.arange(len(whole)) + 0.5) * width
    # one block mean a visible point, and a mean of a fiftieth of all blocks to see the trend by
    axes.plot(steps, whole.mean(1), color=BLUE, alpha=0.35, linewidth=0.8)
    span = max(1, len(whole) // 50)
    smooth = np.convolve(whole.mean(1), np.full(span, 1 / span), mode="valid")
    axes.plot(steps[span // 2 : span // 2 + len(smooth)], smooth, color=BLUE, linewidth=1.6)
    settled = finite[len(finite) // 10 :]
    settled = settled[np.isfinite(settled)]
    if len(settled) and np.ptp(settled) > 0:
        margin = 0.08 * np.ptp(settled)
        axes.set_ylim(settled.min() - margin, settled.max() + margin)
    axes.set(xlabel="step", ylabel="loss, nats per datum", xlim=(0, len(losses)))
    return figure
