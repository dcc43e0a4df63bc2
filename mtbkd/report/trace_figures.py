"""Figures of inference: chains in function space by ArviZ's own plots, in the report's style; and the loss of an
optimisation."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mtbkd.arviz_import import quiet_arviz
from mtbkd.evaluation.chain_diagnostics import ESS_GOOD
from mtbkd.evaluation.energy import energy_changes
from mtbkd.report.figures import BLUE, VERMILION, panel
from mtbkd.report.svg import MUTED, SERIES, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 300  # a line: more than the pixels it is drawn on
ALL_POINTS = 2400  # of all chains together: a page has many figures
ESS_DRAWS = 8  # a chain, at least, for two points of its course
DENSITY_STEP = 4  # of the 512 points that ArviZ draws a density with, every fourth
DASHED: dict[str, Any] = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (4, 3))}


@styled
def chain_trace(values: np.ndarray, label: str) -> "Figure":
    """A quantity's density by chain, and its course along each, thinned to what can be seen: `az.plot_trace`.

    values: `[C, S]`; chains that mix are one fuzzy band
    """
    figure = panel(3.6)
    density, trace = figure.subplots(2, 1, height_ratios=[2, 3])
    step = max(1, values.shape[1] // POINTS, values.size // ALL_POINTS)
    with quiet_arviz() as az:
        az.plot_trace(
            az.dict_to_dataset(
                {"x": doubles(values[:, ::step])}, coords={"draw": np.arange(0, values.shape[1], step)}
            ),
            axes=np.array([[density, trace]]),
            compact=False,
            chain_prop={"color": SERIES},
            plot_kwargs={"linewidth": 1.1},
            trace_kwargs={"linewidth": 0.7, "alpha": 0.8},
        )
    lighten(density)
    tidy(density, label, "density")
    tidy(trace, "draw", label)
    density.locator_params(axis="x", nbins=6)
    density.set_ylim(bottom=0)
    figure.align_ylabels()
    trace.set_xlim(0, max(1, values.shape[1] - 1))
    return figure


@styled
def chain_ranks(values: np.ndarray, label: str) -> "Figure":
    """Rank histogram of each chain among all draws: `az.plot_rank`; chains that mix are all flat, at the dashed lines.

    values: `[C, S]`
    Source: Vehtari et al. 2021, fig. 5
    """
    figure = panel(min(1.4 + 0.3 * len(values), 4.5))
    axes = figure.subplots()
    with quiet_arviz() as az:
        az.plot_rank(
            az.dict_to_dataset({"x": doubles(values)}),
            ax=axes,
            colors=[SERIES[c % len(SERIES)] for c in range(len(values))],
            ref_line_kwargs=dict(DASHED),
            bar_kwargs={"alpha": 0.75, "edgecolor": "none"},
        )
    tidy(axes, f"rank: {label}", "chain")
    axes.grid(visible=False)
    axes.set_xlim(0, values.size)
    return figure


@styled
def ess_evolution(values: np.ndarray, label: str) -> "Figure":
    """Effective draws of a quantity against draws taken, of all chains: `az.plot_ess`. Where the chains mix both lines
    are straight and pass the dashed one, below which R-hat and quantiles are uncertain.

    values: `[C, S]`, S >= `ESS_DRAWS`
    Source: Vehtari et al. 2021, fig. 10
    """
    figure = panel(2.6)
    axes = figure.subplots()
    with quiet_arviz() as az:
        az.plot_ess(
            az.dict_to_dataset({"x": doubles(values)}),
            kind="evolution",
            n_points=max(2, min(20, values.shape[1] // 4)),
            min_ess=ESS_GOOD,
            ax=axes,
            color=BLUE,
            linewidth=1.4,
            markersize=3,
            extra_kwargs={"color": VERMILION},
            hline_kwargs=dict(DASHED),
        )
    handles, labels = axes.get_legend_handles_labels()
    axes.legend().remove()
    tidy(axes, "draws of all chains", f"ESS: {label}")
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


@styled
def energy_spread(energy: np.ndarray) -> "Figure":
    """Energies about their chain's mean, and their changes from one iteration to the next: `az.plot_energy`.

    energy: `[C, S]` nats, S >= 2
    Source: Betancourt 2016
    """
    from matplotlib.ticker import AutoLocator

    figure = panel(2.6)
    axes = figure.subplots()
    # by chain: ArviZ itself subtracts the mean of all
    centred, changes = energy_changes(np.where(np.isfinite(energy), energy, np.nan))
    with quiet_arviz() as az:
        az.plot_energy(
            az.InferenceData(sample_stats=az.dict_to_dataset({"energy": centred})),
            kind="kde",
            bfmi=False,
            legend=False,
            fill_alpha=(0.45, 0.45),
            fill_color=(BLUE, VERMILION),
            ax=axes,
        )
    spread = np.abs(np.concatenate([centred.ravel(), changes.ravel()]))
    widest = spread[np.isfinite(spread)].max(initial=0.0) or 1.0
    lighten(axes)
    for axis in (axes.xaxis, axes.yaxis):  # ArviZ takes the numbers away
        axis.set_major_locator(AutoLocator())
    tidy(axes, "energy about its chain's mean, nats", "density")
    axes.set_xlim(-widest, widest)
    axes.set_ylim(bottom=0)
    figure.legend(axes.collections, ["energies", "their changes"], loc="outside upper left", ncols=2)
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


def doubles(values: np.ndarray) -> np.ndarray:
    """The same in float64: ArviZ's densities fail where float32 cannot tell 512 places of the range apart."""
    return np.asarray(values, np.float64)


def lighten(axes: "Axes") -> None:
    """Densities with a quarter of ArviZ's points, and without what it draws unseen: a page has many."""
    from matplotlib.collections import PolyCollection

    for unseen in [one for one in (*axes.collections, *axes.lines) if one.get_alpha() == 0]:
        unseen.remove()
    for fill in axes.collections:
        if isinstance(fill, PolyCollection):
            fill.set_verts([np.asarray(path.vertices)[::DENSITY_STEP] for path in fill.get_paths()])
    for line in axes.lines:
        x, y = (np.asarray(values) for values in line.get_data())
        line.set_data(x[::DENSITY_STEP], y[::DENSITY_STEP])


def tidy(axes: "Axes", x: str, y: str) -> None:
    """Axes named in the report's words, without ArviZ's own title and sizes."""
    from matplotlib import rcParams

    axes.set_title("")
    axes.set_xlabel(x, fontsize=rcParams["axes.labelsize"])
    axes.set_ylabel(y, fontsize=rcParams["axes.labelsize"])
    axes.tick_params(labelsize=rcParams["xtick.labelsize"])
