import numpy as np
import pytest

from mtbkd.draw_statistics import ess, pareto_khat, rhat
from mtbkd.errors import InputError

az = pytest.importorskip("arviz")


def chains(c: int = 4, s: int = 200, shape: tuple[int, ...] = (), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((c, s, *shape))


def test_rhat_and_ess_are_arviz_own():
    x = chains(shape=(2, 3))
    x[0, :, 1, 2] += 1.5
    assert rhat(x).shape == (2, 3)
    assert rhat(x)[1, 2] == pytest.approx(az.rhat(x[..., 1, 2]))
    assert rhat(x)[1, 2] > 1.1 > 1.02 > rhat(x)[0, 0]
    assert ess(x)[0, 1] == pytest.approx(az.ess(x[..., 0, 1]))
    assert ess(x, "tail")[0, 1] == pytest.approx(az.ess(x[..., 0, 1], method="tail"))


def test_ess_of_an_autoregression():
    # Integrated autocorrelation time (1 + rho) / (1 - rho) = 3 at rho .5.
    x = chains(4, 4000)
    for t in range(1, 4000):
        x[:, t] = 0.5 * x[:, t - 1] + np.sqrt(0.75) * x[:, t]
    assert ess(x) == pytest.approx(16000 / 3, rel=0.1)


@pytest.mark.parametrize("x", [np.ones((4, 50)), chains(4, 3)])
def test_undefined_is_nan(x):
    assert np.isnan(rhat(x))
    assert np.isnan(ess(x))


def test_one_chain_has_ess_but_no_rhat(caplog):
    assert np.isnan(rhat(chains(1)))
    assert ess(chains(1)) > 100
    assert not caplog.records


def test_constants_among_others_are_nan_alone():
    x = chains(shape=(3,))
    x[..., 1] = 0.2
    assert np.isnan(rhat(x)).tolist() == [False, True, False]


def test_khat_is_arviz_own_and_leaves_its_argument():
    x = 2 * chains(1, 500)[0]
    before = x.copy()
    assert pareto_khat(x) == pytest.approx(float(az.psislw(before.copy())[1]))
    np.testing.assert_array_equal(x, before)
    assert pareto_khat(x + 1e4) == pytest.approx(pareto_khat(x), abs=1e-6)


@pytest.mark.parametrize("k", [0.3, 0.7, 1.2])
def test_khat_of_a_pareto_tail(k):
    # weights U^-k; 3 sqrt(S) = 948 tail values know k to (1 + k) / sqrt(948)
    weights = -k * np.log(np.random.default_rng(1).random(100_000))
    assert pareto_khat(weights) == pytest.approx(k, abs=4 * (1 + k) / np.sqrt(948))


def test_khat_of_a_normal_that_is_too_narrow():
    # p N(0, 1), q N(0, s^2) on the line: w grows as exp(z^2 (1 - s^2) / 2) of a standard normal z, so that
    # P(w > t) falls as t^(-1 / (1 - s^2)): k = 1 - s^2
    z = np.random.default_rng(0).standard_normal(400_000)
    s = 0.6
    log_weights = -0.5 * (s * z) ** 2 + 0.5 * z**2
    assert pareto_khat(log_weights) == pytest.approx(1 - s**2, abs=0.15)


def test_khat_where_there_is_no_tail():
    assert pareto_khat(np.full(200, 3.0)) == 0
    assert np.isnan(pareto_khat(np.zeros(24)))
    assert np.isnan(pareto_khat(np.r_[chains(1, 100)[0], np.inf]))
    alone = np.zeros(100)
    alone[3] = 5000
    assert np.isinf(pareto_khat(alone))
    with pytest.raises(InputError, match=r"\[2, 100\]"):
        pareto_khat(np.ones((2, 100)))


def test_a_flat_list_is_refused():
    with pytest.raises(InputError, match="chains and draws first"):
        rhat([1.0, 2.0])
