import warnings

import numpy as np
import pytest

from mtbkd.draw_statistics import ess
from mtbkd.evaluation.energy import bfmi
from mtbkd.report.svg import MUTED, SERIES, inline_svg
from mtbkd.report.trace_figures import (
    ALL_POINTS,
    POINTS,
    chain_ranks,
    chain_trace,
    energy_spread,
    ess_evolution,
    loss_trace,
)


def chains(c: int = 4, s: int = 200, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((c, s))


def test_trace_is_the_chain_thinned():
    values = chains(3, 1000)
    _, trace = chain_trace(values, "log density").axes
    assert [line.get_color() for line in trace.lines] == list(SERIES[:3])
    x, y = trace.lines[1].get_data()
    np.testing.assert_array_equal(y, values[1, x])
    assert POINTS <= len(x) <= 2 * POINTS


def test_many_chains_stay_light():
    many = chain_trace(chains(32, 2000), "log density")
    assert sum(len(line.get_xdata()) for line in many.axes[1].lines) <= 2 * ALL_POINTS
    assert len(inline_svg(many, "many", "a")) < 250_000


def test_densities_are_of_the_chains_apart():
    density, _ = chain_trace(np.stack([chains(1, 4000)[0], 10 + 2 * chains(1, 4000, 1)[0]]), "x").axes
    for line, mean, sd in zip(density.lines, (0, 10), (1, 2), strict=True):
        x, y = line.get_data()
        assert x[y.argmax()] == pytest.approx(mean, abs=0.4 * sd)
        # 1 / (sd sqrt(2 pi)), and a kernel's width lower
        assert y.max() == pytest.approx(0.399 / sd, rel=0.1)
        assert np.trapezoid(y, x) == pytest.approx(1, abs=0.02)


def by_chain(axes, number: int) -> np.ndarray:
    """Heights of the bars of each chain, `[C, bins]`."""
    return np.array([bar.get_height() for bar in axes.patches]).reshape(number, -1)


def test_ranks_of_separated_chains_do_not_overlap():
    (axes,) = chain_ranks(np.arange(400.0).reshape(2, 200), "log density").axes
    low, high = by_chain(axes, 2)
    half = len(low) // 2
    assert low[: half - 1].min() > 0
    assert low[half + 1 :].max() == 0
    assert high[: half - 1].max() == 0


def test_mixed_chains_have_flat_ranks():
    (axes,) = chain_ranks(chains(4, 5000), "p").axes
    heights = by_chain(axes, 4)
    shares = heights / heights.sum(1, keepdims=True)
    bins = shares.shape[1]
    sd = np.sqrt((1 / bins) * (1 - 1 / bins) / 5000)
    np.testing.assert_allclose(shares, 1 / bins, atol=4.5 * sd)
    assert [line.get_color() for line in axes.lines] == [MUTED] * 4


def test_effective_draws_grow_to_ours():
    values = chains()
    (axes,) = ess_evolution(values, "log density").axes
    bulk, tail, enough = (line.get_data() for line in axes.lines)
    assert bulk[0][-1] == tail[0][-1] == 800
    assert bulk[1][-1] == pytest.approx(float(ess(values)), rel=1e-6)
    assert tail[1][-1] == pytest.approx(float(ess(values, "tail")), rel=1e-6)
    assert set(enough[1]) == {400}
    # independent draws: as many effective ones as there are, all along
    np.testing.assert_allclose(bulk[1][4:] / bulk[0][4:], 1, atol=0.35)


def test_few_draws_have_a_course_of_two_points():
    (axes,) = ess_evolution(chains(2, 8), "p").axes
    assert len(axes.lines[0].get_xdata()) == 2


def test_energies_and_their_changes_are_densities():
    # independent energies of different chains: changes are sqrt 2 times as wide, E-BFMI 2
    energy = 5 * chains(4, 4000) + np.array([[0.0], [300.0], [-50.0], [7.0]])
    (axes,) = energy_spread(energy).axes
    assert bfmi(energy) == pytest.approx(np.full(4, 2), abs=0.15)
    for fill, sd in zip(axes.collections, (5, 5 * 2**0.5), strict=True):
        ((x, y),) = (path.vertices.T for path in fill.get_paths())
        assert y.max() == pytest.approx(0.399 / sd, rel=0.1)
        assert x[y.argmax()] == pytest.approx(0, abs=0.4 * sd)


ODD = {
    "constant": np.ones((2, 50)),
    "one chain constant": np.stack([np.ones(50), chains(1, 50)[0]]),
    "two draws": chains(2, 2),
    "more chains than draws": chains(5, 3),
    "some NaN": np.where(chains(2, 50, 1) > 1, np.nan, chains(2, 50)),
    "all NaN": np.full((2, 50), np.nan),
    "infinite": np.where(chains(2, 50, 1) > 1, -np.inf, chains(2, 50)),
    "float32 that hardly tells them apart": (1e6 + chains(2, 60)).astype(np.float32),
}


@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_odd_draws_are_drawn_and_nothing_is_warned_of(values, caplog, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = [chain_trace(values, "x"), chain_ranks(values, "x"), energy_spread(values)]
        figures += [ess_evolution(values, "x")] if values.shape[1] >= 8 else []
    assert [len(figure.axes) for figure in figures] == [2, 1, 1, 1][: len(figures)]
    for figure in figures:
        inline_svg(figure, "odd", "a")
    assert not caplog.records
    assert "WARNING" not in capsys.readouterr().err


def test_loss_shows_the_settled_part_and_block_means():
    losses = np.r_[np.full(600, 100.0), np.linspace(2, 1, 5400)]
    (axes,) = loss_trace(losses).axes
    assert axes.get_ylim() == pytest.approx((1 - 0.08, 2 + 0.08), abs=0.01)
    pale, _ = axes.lines
    assert len(pale.get_ydata()) == POINTS
    assert pale.get_ydata()[-1] == pytest.approx(losses[-20:].mean())


@pytest.mark.parametrize("losses", [np.ones(1), np.ones(50), np.r_[1.0, np.nan, 1.0], np.full(5, np.nan)])
def test_odd_losses_are_drawn(losses):
    assert len(loss_trace(losses).axes) == 1
