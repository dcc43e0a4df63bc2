import dataclasses
import json

import arviz as az
import numpy as np
import pytest

from mtbkd.errors import InputError
from mtbkd.evaluation.diagnostics import diagnose_chains, diagnose_loss, not_applicable


def chains(c: int = 4, s: int = 400, q: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Independent draws: what a perfect sampler gives."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((c, s)), rng.random((c, s, q))


def test_independent_draws_have_converged():
    energy, p = chains()
    found = diagnose_chains(energy, p, divergences=0, acceptance=0.7)
    assert found.verdict == "converged"
    assert found.numbers["rhat_log_density"] == pytest.approx(az.rhat(energy))
    worst = max(az.rhat(p[..., j]) for j in range(5))
    assert found.numbers["rhat_probs_max"] == pytest.approx(worst)
    slowest = min(az.ess(x, method=m) for x in (energy, *np.moveaxis(p, 2, 0)) for m in ("bulk", "tail"))
    assert found.numbers["ess_min"] == pytest.approx(slowest)
    assert f"{worst:.3f}" in found.words[0]


def test_chains_in_separate_modes_have_not_converged():
    energy, p = chains()
    found = diagnose_chains(energy + 3 * np.arange(4)[:, None], p + np.arange(4)[:, None, None])
    assert found.verdict == "not converged"
    assert "100% of the held-out probabilities" in found.words[0]
    assert "R-hat of the log density is" in found.words[1]
    assert "inference.warmup" in found.words[1]


def test_the_log_density_alone_can_fail():
    energy, p = chains()
    energy[0] += 3
    found = diagnose_chains(energy, p)
    assert found.verdict == "not converged"
    assert found.numbers["rhat_probs_max"] < 1.05


def test_one_prediction_of_many_is_a_doubt():
    energy, p = chains(q=20)
    p[0, :, 7] += 0.5
    found = diagnose_chains(energy, p)
    assert found.verdict == "doubtful"
    assert found.numbers["rhat_probs_share_bad"] == pytest.approx(1 / 20)
    assert "worst held-out probability" in found.words[0]


def test_few_effective_draws_are_a_doubt():
    energy, p = chains(s=60)
    found = diagnose_chains(energy, p)
    assert found.verdict == "doubtful"
    assert any("effective draws" in words for words in found.words)


@pytest.mark.parametrize(
    ("divergences", "verdict"), [(0, "converged"), (3, "doubtful"), (300, "not converged")]
)
def test_divergences(divergences, verdict):
    found = diagnose_chains(*chains(), divergences=divergences)
    assert found.verdict == verdict
    assert any(f"{divergences} of 1600 draws diverged" in w for w in found.words) == (divergences > 0)


def test_one_chain_is_never_called_converged():
    found = diagnose_chains(*chains(c=1, s=2000))
    assert found.verdict == "doubtful"
    assert found.numbers["rhat_log_density"] is None
    assert "at least four" in found.words[0]


def test_chains_that_do_not_move():
    found = diagnose_chains(np.ones((4, 50)), np.full((4, 50, 3), 0.5))
    assert found.verdict == "not converged"
    assert "did not move" in found.words[0]


def test_constant_probabilities_are_counted_not_judged():
    energy, p = chains()
    p[..., 2] = 1.0
    found = diagnose_chains(energy, p)
    assert found.verdict == "converged"
    assert found.numbers["constant_probs"] == 1
    assert diagnose_chains(energy, np.ones((4, 400, 3))).verdict == "doubtful"


def test_not_finite_draws_and_too_few():
    energy, p = chains()
    energy[2, 5] = np.nan
    assert diagnose_chains(energy, p).verdict == "not converged"
    assert diagnose_chains(energy[:, :3], p[:, :3]).verdict == "doubtful"


def test_numbers_are_json():
    for found in (diagnose_chains(*chains(c=1)), diagnose_loss(np.ones(100)), not_applicable("a point")):
        json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.mark.parametrize("p", [np.ones((4, 400)), np.ones((4, 399, 2)), np.ones((4, 400, 0))])
def test_shapes_that_do_not_fit(p):
    with pytest.raises(InputError, match="do not fit"):
        diagnose_chains(np.ones((4, 400)), p)


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
    assert "more steps" in found.words[0]


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


def test_khat_is_told_but_fails_nothing():
    settled = loss_trace(decay=0.02)
    assert diagnose_loss(settled, khat=0.6).words == diagnose_loss(settled).words
    high = diagnose_loss(settled, khat=1.3)
    assert high.verdict == "converged"
    assert high.numbers["khat"] == 1.3
    assert "1.30" in high.words[1]
    assert "inference=hmc" in high.words[1]


def test_not_applicable():
    found = not_applicable("A point estimate has no chains.")
    assert (found.verdict, found.words, found.numbers) == (
        "not applicable",
        ["A point estimate has no chains."],
        {},
    )
