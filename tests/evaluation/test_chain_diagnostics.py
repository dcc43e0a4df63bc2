import dataclasses
import json

import arviz as az
import numpy as np
import pytest

from mtbkd.errors import InputError
from mtbkd.evaluation import chain_diagnostics
from mtbkd.evaluation.chain_diagnostics import diagnose_chains, diagnose_stochastic_gradient


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
    alone, apart = chains(c=1), (np.repeat(np.arange(4.0), 50).reshape(4, 50), np.full((4, 50, 2), 0.5))
    for energy, p in (alone, apart):
        found = diagnose_chains(energy, p, divergences=2, acceptance=0.5, energy=energy)
        json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.mark.parametrize("p", [np.ones((4, 400)), np.ones((4, 399, 2)), np.ones((4, 400, 0))])
def test_shapes_that_do_not_fit(p):
    with pytest.raises(InputError, match="do not fit"):
        diagnose_chains(np.ones((4, 400)), p)


def test_one_chain_that_does_not_move_is_named():
    energy, p = chains()
    energy[2] = 0.3
    found = diagnose_chains(energy, p)
    assert found.verdict == "not converged"
    assert found.words[0].startswith("Chain 2 of 4 (from 0) did not move")


def test_saturated_probabilities_that_differ_between_chains_are_bad():
    # constant within each chain: no variance within, so that R-hat is infinite, not undefined
    energy, p = chains(q=1)
    p[:] = np.array([0.0, 0.0, 1.0, 1.0])[:, None, None]
    found = diagnose_chains(energy, p)
    assert found.verdict == "not converged"
    assert "100% of the held-out probabilities" in found.words[0]


def wandering(c: int = 4, s: int = 400, q: int = 1, memory: float = 0.97) -> np.ndarray:
    """Stationary autoregressions `[C, S, Q]` of variance 1."""
    x = np.random.default_rng(1).standard_normal((c, s, q))
    for t in range(1, s):
        x[:, t] = memory * x[:, t - 1] + np.sqrt(1 - memory**2) * x[:, t]
    return x


def test_energies_that_wander_are_a_doubt():
    found = diagnose_chains(*chains(), energy=wandering()[..., 0])
    assert found.verdict == "doubtful"
    assert found.numbers["bfmi_min"] == pytest.approx(min(az.bfmi(wandering()[..., 0])))
    assert found.numbers["chains_of_low_bfmi"] == 4
    assert f"E-BFMI is {found.numbers['bfmi_min']:.2f}" in found.words[0]
    assert "inference.warmup" in found.words[0]
    assert diagnose_chains(*chains(), energy=chains()[0]).verdict == "converged"


def short_chains(apart: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """4 superchains of 100 slow chains of 20 draws, those of the last two starts shifted."""
    x = wandering(400, 20, 5, memory=0.8)
    x[200:] += apart
    return x[..., 0], x[..., 1:]


def test_many_short_chains_are_judged_by_nested_rhat():
    together = diagnose_chains(*short_chains(), superchains=4)
    assert together.verdict == "converged"
    assert together.numbers["rhat_log_density"] > 1.1  # takes shortness for disagreement
    assert together.numbers["nested_rhat_log_density"] < 1.005
    assert "nested R-hat" in together.words[0]
    apart = diagnose_chains(*short_chains(1.5), superchains=4)
    assert apart.verdict == "not converged"
    # means 0, 0, 1.5, 1.5 have variance .75; chains from one start have 1
    assert apart.numbers["nested_rhat_log_density"] == pytest.approx(np.sqrt(1.75), abs=0.1)
    assert "Nested R-hat" in " ".join(apart.words)


def test_single_draws_of_many_chains_can_be_judged():
    energy, p = short_chains()
    found = diagnose_chains(energy[:, :1], p[:, :1], superchains=2)
    assert found.numbers["ess_min"] is None
    assert found.verdict != "not converged"
    assert diagnose_chains(energy[:, :1], p[:, :1]).words[0].startswith("1 draws a chain are too few")


def test_long_chains_are_judged_by_rhat_whatever_their_starts():
    found = diagnose_chains(*chains(c=4), superchains=2)
    assert found.words[0].startswith("The 4 chains agree: R-hat")
    assert found.numbers["nested_rhat_log_density"] is not None


def test_one_start_says_that_agreement_says_less():
    found = diagnose_chains(*chains(), superchains=1)
    assert found.verdict == "converged"
    assert found.words[-1] == chain_diagnostics.ONE_START
    assert found.numbers["superchains"] == 1
    assert chain_diagnostics.ONE_START not in diagnose_chains(*chains()).words


def test_stochastic_gradients_have_a_bias_that_rhat_does_not_see():
    found = diagnose_stochastic_gradient(*chains())
    assert (found.verdict, found.kind) == ("converged", "stochastic gradient")
    assert found.words[-1] == chain_diagnostics.BIAS
    assert "inference.step_size" in found.words[-1]
    assert diagnose_chains(*chains()).kind == "exact"


@pytest.mark.parametrize(
    ("heat", "verdict", "words"),
    [
        (1.05, "converged", None),
        (1.2, "doubtful", "halve inference.step_size"),
        (1.6, "not converged", "halve inference.step_size"),
        (0.5, "doubtful", "have not spread"),
    ],
)
def test_draws_that_are_too_hot(heat, verdict, words):
    found = diagnose_stochastic_gradient(*chains(), heat=heat)
    assert (found.verdict, found.numbers["temperature_ratio"]) == (verdict, heat)
    assert words is None or words in found.words[0]
