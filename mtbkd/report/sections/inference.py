"""Whether inference can be trusted: the verdict, its numbers, chains and losses."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mtbkd.draw_statistics import rhat
from mtbkd.evaluation.chain_diagnostics import ESS_GOOD
from mtbkd.report import trace_figures
from mtbkd.report.blocks import (
    Block,
    Bullets,
    Facts,
    Figures,
    FigureView,
    Heading,
    Section,
    Verdict,
    Words,
    fact_number,
)
from mtbkd.report.content import ChainTraces, ReportContent
from mtbkd.report.figures import readable

WORDS = {
    "rhat": "R-hat",
    "ess": "ESS",
    "khat": "k-hat",
    "bfmi": "E-BFMI",
    "probs": "probabilities",
    "num": "number of",
    "s": "seconds",
}
BY_WHAT_THEY_SAY = (
    "Weights of a network are known only up to permutations and signs, so chains are compared by what they say: the "
    "log density and predictive probabilities at held-out inputs."
)


def section(content: ReportContent) -> Section:
    """Diagnostics in words and numbers, traces, ranks, effective draws, energies, losses."""
    blocks: list[Block] = []
    if content.diagnostics is None:
        blocks.append(Words("Diagnostics left out: the run recorded none.", "missing"))
    else:
        blocks.append(Verdict(content.diagnostics.verdict))
        blocks.append(Bullets([(words, "plain") for words in content.diagnostics.words]))
        if numbers := named_numbers(content.diagnostics.numbers):
            blocks.append(Facts(numbers))
    if content.traces is not None:
        blocks.append(Words(BY_WHAT_THEY_SAY, "note"))
        blocks += _quantities(content.traces)
    if steps := list(_steps(content)):
        blocks += [Heading("Step by step"), Figures(steps)]
    return Section("inference", "Inference", "Inference", blocks)


def _quantities(traces: ChainTraces) -> Iterator[Block]:
    """A heading and its figures for the log density, and for the held-out probability that mixes worst."""
    shown = [("log-density", "log density", traces.log_density, "Log density")]
    worst = rhat(traces.probs)
    if np.isfinite(worst).any():
        q = int(np.nanargmax(worst))
        what = f"The slowest of {len(worst)} probabilities: {traces.labels[q]}"
        shown.append(("slowest", traces.labels[q], traces.probs[..., q], what))
    for name, label, values, what in shown:
        yield Heading(what)
        yield Figures(list(_chains(name, label, values)), tall_first=True)


def _chains(name: str, label: str, values: np.ndarray) -> Iterator[FigureView]:
    data = by_chain(values)
    yield FigureView(
        f"trace-{name}",
        trace_figures.chain_trace(values, readable(label, 40)),
        f"Trace of {label} by chain",
        "Its density, and its course along each chain, a colour a chain. Chains that mix are one band.",
        data,
    )
    yield FigureView(
        f"ranks-{name}",
        trace_figures.chain_ranks(values, readable(label, 40)),
        f"Rank histograms of {label} by chain",
        "Its ranks among all draws, by chain. Chains that mix are all flat, at the dashed lines.",
        data,
    )
    if values.shape[1] >= trace_figures.ESS_DRAWS:
        figure = trace_figures.ess_evolution(values, readable(label, 32))
        bulk, tail = (line.get_data() for line in figure.axes[0].lines[:2])
        yield FigureView(
            f"ess-{name}",
            figure,
            f"Effective draws of {label} against draws",
            "Its effective draws as draws were added, for its mean (bulk) and its 5% and 95% quantiles (tail). "
            f"Chains that mix gain steadily; above {ESS_GOOD}, the dashed line, R-hat itself can be relied on.",
            {"draws": bulk[0], "ess_bulk": bulk[1], "ess_tail": tail[1]},
        )


def _steps(content: ReportContent) -> Iterator[FigureView]:
    """Energies of a sampler's iterations; losses of an optimiser's steps."""
    if content.traces is not None and content.traces.energy is not None:
        yield FigureView(
            "energy",
            trace_figures.energy_spread(content.traces.energy),
            "Energies and their changes",
            "Energies of all iterations, and what one new momentum changes them by. Where the changes are much "
            "narrower, the tails are visited seldom.",
            by_chain(content.traces.energy, "energy_nats"),
        )
    if content.losses is not None and len(content.losses):
        yield FigureView(
            "loss",
            trace_figures.loss_trace(content.losses),
            "Loss a step",
            "The loss a step (pale) and its running mean. It should have become level.",
            {"step": np.arange(len(content.losses)), "loss_nats_per_datum": content.losses},
        )


def by_chain(values: np.ndarray, called: str = "value") -> dict[str, np.ndarray]:
    """Values `[C, S]` as columns of chain, draw and value."""
    chain, draw = (grid.ravel() for grid in np.indices(values.shape))
    return {"chain": chain, "draw": draw, called: values.ravel()}


def named_numbers(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers by their names for people; those that are not known are left out."""
    named = {" ".join(WORDS.get(word, word) for word in name.split("_")): v for name, v in numbers.items()}
    return {name: fact_number(value) for name, value in named.items() if value is not None}
