import numpy as np
import pytest

from mtbkd.report.trace_figures import (
    ENERGY_BINS,
    POINTS,
    RANK_BINS,
    chain_ranks,
    chain_trace,
    energy_spread,
    loss_trace,
)


def test_trace_is_the_chain_thinned():
    values = np.random.default_rng(0).standard_normal((3, 1000))
    (axes,) = chain_trace(values, "log density").axes
    assert len(axes.lines) == 3
    x, y = axes.lines[1].get_data()
    np.testing.assert_array_equal(y, values[1, x])
    assert POINTS <= len(x) <= 2 * POINTS


def test_ranks_of_separated_chains_do_not_overlap():
    values = np.arange(200.0).reshape(2, 100)
    (axes,) = chain_ranks(values, "log density").axes
    low, high = (patch.get_data().values for patch in axes.patches)
    half = RANK_BINS // 2
    assert low[: half - 1].min() > 0
    assert low[half + 1 :].max() == 0
    assert high[: half - 1].max() == 0
    assert low.sum() == high.sum() == pytest.approx(1)


def test_mixed_chains_have_flat_ranks():
    values = np.random.default_rng(0).standard_normal((4, 5000))
    (axes,) = chain_ranks(values, "p").axes
    for patch in axes.patches:
        # binomial(5000, 1/20): 250 +- 15.4
        np.testing.assert_allclose(patch.get_data().values, 1 / RANK_BINS, atol=4 * 15.4 / 5000)


def test_energies_and_their_changes_are_densities_on_the_same_bins():
    # 0, 10, 0, 10, ...: energies are 5 from their mean, changes 10
    (axes,) = energy_spread(np.tile([0.0, 10.0], (2, 50)) + np.array([[3.0], [700.0]])).axes
    energies, changes = (patch.get_data() for patch in axes.patches[::2])
    width = 20 / ENERGY_BINS
    np.testing.assert_allclose(energies.edges, np.linspace(-10, 10, ENERGY_BINS + 1))
    for values, place in ((energies.values, 5), (changes.values, 10)):
        assert values.sum() * width == pytest.approx(1)
        centres = energies.edges[:-1] + width / 2
        np.testing.assert_allclose(np.abs(centres[values > 0]), place, atol=width)


def test_energies_that_never_change_are_drawn():
    assert len(energy_spread(np.ones((2, 5))).axes) == 1


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
