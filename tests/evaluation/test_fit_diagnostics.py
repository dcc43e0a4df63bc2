import dataclasses
import json

import numpy as np
import pytest

from mtbkd.draw_statistics import pareto_khat
from mtbkd.errors import InputError
from mtbkd.evaluation import fit_diagnostics
from mtbkd.evaluation.fit_diagnostics import (
    diagnose_laplace,
    diagnose_loss,
    diagnose_point,
    diagnose_variational,
    khat_good,
)


def loss_trace(decay: float, noise: float = 0.01, steps: int = 1000) -> np.ndarray:
    t = np.arange(steps)
    return 1 + np.exp(-decay * t) + noise * np.random.default_rng(0).standard_normal(steps)


def test_a_settled_loss_has_converged():
    found = diagnose_loss(loss_trace(decay=0.02))
    assert found.verdict == "converged"
    assert found.numbers["loss"] == pytest.approx(1, abs=0.004)  # mean of 100 with noise .01


def test_a_falling_loss_has_not():
    found = diagnose_loss(loss_trace(decay=0.001, noise=1e-4))
    assert found.verdict == "not converged"
    # 1 + exp(-t/1000): means of .9..1 and of .8..1 thousand steps differ by .0407, of 1.387
    assert found.numbers["loss_change"] == pytest.approx(-0.0407, abs=1e-4)
    assert "still falling (by 2.9%" in found.words[0]
    assert "inference.steps" in found.words[0]


def test_a_slowly_falling_loss_is_a_doubt():
    found = diagnose_loss(loss_trace(decay=0.005, noise=1e-3))
    assert found.verdict == "doubtful"


def test_a_trend_below_a_thousandth_does_not_matter():
    assert diagnose_loss(1 + 1e-6 * np.arange(1000)[::-1]).verdict == "converged"


def test_a_rising_loss_asks_for_smaller_steps():
    found = diagnose_loss(loss_trace(decay=0.02) + 2e-4 * np.arange(1000))
    assert found.verdict == "not converged"
    assert "rising" in found.words[0]


def test_a_broken_and_a_short_trace():
    assert "step 7" in diagnose_loss([1.0] * 7 + [float("nan")] * 20).words[0]
    assert diagnose_loss([1.0] * 7 + [float("inf")] * 20).verdict == "not converged"
    assert diagnose_loss([1.0] * 19).verdict == "doubtful"
    with pytest.raises(InputError, match="trace"):
        diagnose_loss([])


def weights(tail: float, draws: int = 1000, chains: int = 1) -> np.ndarray:
    """Logarithms of weights of Pareto's law: w = U^-tail, so that k is `tail`."""
    return -tail * np.log(np.random.default_rng(0).random((chains, draws)))


def test_the_elbo_is_named_and_rises():
    found = diagnose_variational(-loss_trace(decay=0.001, noise=1e-4))
    assert (found.verdict, found.kind) == ("not converged", "variational")
    assert found.words == [
        "The ELBO is still rising (by 2.9% between the last two tenths of its steps): raise inference.steps."
    ]
    settled = diagnose_variational(-loss_trace(decay=0.02))
    assert settled.words[0].startswith("The ELBO has settled: between the last two tenths of its 1,000 steps")
    assert len(settled.words) == 1


def test_a_learning_rate_that_fell_levels_any_trace():
    settled = -loss_trace(decay=0.02)
    assert diagnose_variational(settled, rate_fell=True).words[1] == fit_diagnostics.FALLING
    moving = -loss_trace(decay=0.001, noise=1e-4)
    assert fit_diagnostics.FALLING not in diagnose_variational(moving, rate_fell=True).words


def test_a_plateau_that_was_not_reached_is_a_doubt():
    found = diagnose_variational(-loss_trace(decay=0.02), reached_plateau=False)
    assert found.verdict == "doubtful"
    assert "not reached within inference.steps" in found.words[0]


def test_khat_is_told_but_fails_nothing():
    settled = -loss_trace(decay=0.02)
    near, far = (
        diagnose_variational(settled, weights(0.4)),
        diagnose_variational(settled, weights(1.3), richer="inference.guide=full"),
    )
    assert near.verdict == far.verdict == "converged"
    assert far.numbers["khat"] == pytest.approx(pareto_khat(weights(1.3)[0]))
    assert f"{far.numbers['khat']:.2f}" in far.words[1]
    assert "inference=hmc" in far.words[1]
    assert far.words[1].endswith("inference.guide=full comes nearer.")
    assert "comes nearer" not in diagnose_variational(settled, weights(1.3)).words[1]
    assert "near enough" in near.words[1]


def test_the_worst_chain_has_the_khat():
    several = np.concatenate([weights(0.2), weights(1.1)])
    assert diagnose_laplace(several).numbers["khat"] == pytest.approx(pareto_khat(several[1]))


def test_few_draws_ask_for_a_smaller_khat():
    assert khat_good(100) == pytest.approx(0.5)  # 1 - 1 / log10 100
    assert khat_good(10_000) == 0.7


def test_khat_without_a_bound_is_no_number():
    one = np.zeros((1, 100))
    one[0, 3] = 5000.0
    found = diagnose_laplace(one)
    assert found.numbers["khat"] is None
    assert "has no bound" in found.words[1]


def test_draws_without_a_density_have_failed():
    broken = weights(0.4)
    broken[0, :3] = -np.inf
    for found in (diagnose_laplace(broken), diagnose_variational(-loss_trace(decay=0.02), broken)):
        assert found.verdict == "not converged"
        assert found.words[0].startswith("3 of 1000 draws have a density that is NaN or infinite")


def test_laplace_has_nothing_to_converge():
    found = diagnose_laplace(weights(0.4))
    assert (found.verdict, found.kind) == ("not applicable", "laplace")
    assert found.words[0] == fit_diagnostics.NORMAL
    assert "of the network itself" in diagnose_laplace(weights(0.4), linearised=True).words[-1]
    assert diagnose_laplace(None, linearised=True).words == [fit_diagnostics.NORMAL]
    assert diagnose_laplace(weights(0.4, draws=5)).words == [fit_diagnostics.NORMAL]


def test_a_point_has_no_posterior_but_its_loss_is_told():
    found = diagnose_point(loss_trace(decay=0.02))
    assert (found.verdict, found.kind) == ("not applicable", "point")
    assert found.words[0] == fit_diagnostics.POINT
    assert "has settled" in found.words[1]
    assert found.numbers["steps"] == 1000
    assert diagnose_point(None).words == [fit_diagnostics.POINT]


def test_a_point_that_still_moves_says_so_first():
    found = diagnose_point(loss_trace(decay=0.001, noise=1e-4))
    assert found.verdict == "not converged"
    assert "still falling" in found.words[0]
    assert found.words[1] == fit_diagnostics.POINT


def test_an_ensemble_is_modes():
    found = diagnose_point(loss_trace(decay=0.02), members=5)
    assert (found.verdict, found.kind) == ("not applicable", "ensemble")
    assert found.words[0].startswith("5 modes, not draws of the posterior")


def test_numbers_are_json():
    for found in (
        diagnose_loss(np.ones(100)),
        diagnose_loss([1.0] * 7 + [float("nan")] * 20),
        diagnose_laplace(weights(0.4)),
        diagnose_variational(np.ones(100), np.full((1, 100), np.nan)),
        diagnose_point(None),
    ):
        json.dumps(dataclasses.asdict(found), allow_nan=False)
