import numpy as np
import pytest

from mtbkd.report.trace_figures import POINTS, RANK_BINS, chain_ranks, chain_trace, loss_trace


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
