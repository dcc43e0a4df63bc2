"""Learned trust against quadrature, conjugate cases, Pyro's NUTS and what teachers of known quality deserve."""

import numpy as np
import pytest
import torch

from mtbkd import weighting
from mtbkd.draw_statistics import ess, rhat
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.rules import HeldOut, Offer
from mtbkd.teachers import TeacherBank
from mtbkd.weighting.learned import LearnedConfig, evidence_of, trust_model

MANY = {"num_chains": 16, "warmup": 100, "draws": 150}
FEW = {"num_chains": 2, "warmup": 20, "draws": 20}


def held(probs: dict[str, np.ndarray], y: np.ndarray) -> HeldOut:
    return HeldOut(TeacherBank.from_probs(probs), torch.as_tensor(y))


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def noisy(y: np.ndarray, sharpness: float, seed: int, num_classes: int = 3) -> np.ndarray:
    """Probabilities of a teacher whose logit of the true class is `sharpness` above the others, plus unit noise."""
    rng = np.random.default_rng(seed)
    return softmax(sharpness * np.eye(num_classes)[y] + rng.normal(size=(len(y), num_classes)))


def entropy_weights(p: np.ndarray) -> np.ndarray:
    """`[M, n, K]` -> `[M, n]`, as Kwon et al. print them."""
    h = -np.sum(p * np.log(p), -1)
    return (1 - h / h.sum(0)) / (len(p) - 1)


def quadrature(
    p: np.ndarray, y: np.ndarray, base: np.ndarray, a: tuple[float, float]
) -> tuple[float, float, float]:
    """Mean, 5 % and 95 % quantile of phi_1 of two teachers, on a grid.

    p: `[2, n, K]`; base: `[2, n]`; a: of the Dirichlet (Beta) prior
    """
    cells = 40_000
    phi = (np.arange(cells) + 0.5) / cells
    log_density = (a[0] - 1) * np.log(phi) + (a[1] - 1) * np.log1p(-phi)
    for i, k in enumerate(y):
        first, second = phi * base[0, i], (1 - phi) * base[1, i]
        log_density += np.log((first * p[0, i, k] + second * p[1, i, k]) / (first + second))
    density = np.exp(log_density - log_density.max())
    cumulative = np.cumsum(density) / density.sum()
    low, high = phi[np.searchsorted(cumulative, [0.05, 0.95])]
    return float(phi @ density / density.sum()), float(low), float(high)


def trust_of(held_out: HeldOut, **settings) -> torch.Tensor:
    """Draws `[C, S, M]`; those of more chains than the defaults, as numbers are compared."""
    found = weighting.learned(held_out.bank, None, held_out, **{**MANY, **settings}).found
    return found["trust"].double().unflatten(0, (int(found["trust_chains"]), -1))


def check_first(trust: torch.Tensor, expected: tuple[float, float, float]) -> None:
    """The first teacher's mean and 90 % interval, within four Monte Carlo standard errors: of a quantile, by the share
    of draws below it, whose error needs no density, as the tails are skewed; the smaller of two effective numbers is
    used.
    """
    first = trust[..., 0]
    number = min(float(ess(first)), float(ess(first, "tail")))
    assert number > 400
    assert float(first.mean()) == pytest.approx(expected[0], abs=4 * float(first.std()) / number**0.5)
    for share, quantile in ((0.05, expected[1]), (0.95, expected[2])):
        below = float((first < quantile).double().mean())
        assert below == pytest.approx(share, abs=4 * (share * (1 - share) / number) ** 0.5)


# ---- known posteriors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "a"), [("uniform", 0.7), ("entropy", 1.0), ("entropy", 4.0)])
def test_two_teachers_by_quadrature(base, a):
    y = np.random.default_rng(0).integers(0, 3, 60)
    p = np.stack([noisy(y, 2.0, 1), noisy(y, 1.2, 2)])
    weights = entropy_weights(p) if base == "entropy" else np.full((2, 60), 0.5)
    trust = trust_of(held({"a": p[0], "b": p[1]}, y), base=base, concentration=a)
    check_first(trust, quadrature(p, y, weights, (a, a)))


def test_teachers_that_are_right_in_turn_are_counted():
    """Where one gives the label 1 and the others 0, a row is a draw of that one: Dirichlet(a + counts), exactly."""
    counts, a = torch.tensor([9, 3, 0]), 1.5
    right = torch.repeat_interleave(torch.arange(3), counts).numpy()
    y = np.arange(12) % 2
    onehot = np.eye(2)
    probs = {f"t{m}": onehot[np.where(right == m, y, 1 - y)] for m in range(3)}
    trust = trust_of(held(probs, y), base="uniform", concentration=a)
    posterior = torch.distributions.Dirichlet(a + counts.double())
    error = (posterior.variance / float(ess(trust.numpy()).min())) ** 0.5
    assert float(ess(trust.numpy()).min()) > 400
    assert ((trust.mean((0, 1)) - posterior.mean).abs() < 4 * error).all()
    # The standard error of a variance is sqrt(2 / n) of it for a normal, more for the skewed: five of those.
    torch.testing.assert_close(
        trust.flatten(0, 1).var(0), posterior.variance, rtol=5 * (2 / 400) ** 0.5, atol=0
    )


def test_of_teachers_that_say_the_same_the_sum_is_known():
    """Two copies and another: their sum has the posterior of one with the prior's weight of two, Beta(2a, a)."""
    y = np.random.default_rng(3).integers(0, 3, 50)
    p = np.stack([noisy(y, 1.5, 4), noisy(y, 1.5, 5)])
    trust = trust_of(held({"a": p[0], "copy": p[0], "b": p[1]}, y), base="uniform")
    pair = torch.stack([trust[..., 0] + trust[..., 1], trust[..., 2]], -1)
    check_first(pair, quadrature(p, y, np.full((2, 50), 0.5), (2.0, 1.0)))
    # By symmetry both have the same mean; each alone is as free as the prior lets it.
    share = trust[..., 0] / pair[..., 0]
    assert float(share.mean()) == pytest.approx(0.5, abs=4 * 12**-0.5 / float(ess(share)) ** 0.5)
    assert float(share.var()) == pytest.approx(1 / 12, rel=0.2)  # uniform on (0, 1)


def test_the_prior_alone_where_teachers_agree():
    """Teachers that say the same of every row teach nothing of each other: phi stays Dirichlet(a, a)."""
    y = np.zeros(20, dtype=np.int64)
    p = noisy(y, 1.0, 0)
    trust = trust_of(held({"a": p, "b": p}, y), base="uniform", concentration=2.0)
    check_first(trust, (0.5, 0.1353, 0.8647))  # Beta(2, 2): 3 x^2 - 2 x^3 = .05 and .95


@pytest.mark.slow
@pytest.mark.parametrize("base", ["uniform", "entropy"])
def test_agrees_with_pyros_nuts(base):
    from pyro.infer import MCMC, NUTS

    y = np.random.default_rng(6).integers(0, 3, 80)
    held_out = held({f"t{m}": noisy(y, s, m) for m, s in enumerate((2.0, 1.0, 1.5))}, y)
    trust = trust_of(held_out, base=base)
    torch.manual_seed(0)
    mcmc = MCMC(NUTS(trust_model), num_samples=1500, warmup_steps=300, disable_progbar=True)
    mcmc.run(*evidence_of(held_out.bank, held_out, LearnedConfig(base=base)))
    theirs = mcmc.get_samples()["phi"].numpy()
    ours = trust.numpy()
    error = theirs.std(0) * (1 / ess(theirs[None]) + 1 / ess(ours)) ** 0.5
    assert (np.abs(ours.mean((0, 1)) - theirs.mean(0)) < 4 * error).all()
    np.testing.assert_allclose(ours.std((0, 1)), theirs.std(0), rtol=0.12)


# ---- teachers of known quality -------------------------------------------------------------------------------------


def test_defaults_converge():
    y = np.random.default_rng(7).integers(0, 4, 300)
    held_out = held({f"t{m}": noisy(y, s, m, 4) for m, s in enumerate((2.5, 2.0, 1.0, 0.0, 0.0))}, y)
    found = weighting.learned(held_out.bank, None, held_out).found
    trust = found["trust"].unflatten(0, (int(found["trust_chains"]), -1))
    assert rhat(trust.numpy()).max() < 1.03
    assert ess(trust.numpy()).min() > 200


@pytest.mark.parametrize("base", ["uniform", "entropy"])
def test_a_good_teacher_is_trusted_before_a_permuted_and_a_random_one(base):
    y = np.random.default_rng(8).integers(0, 3, 200)
    good = noisy(y, 3.0, 9)
    permuted = good[:, [1, 2, 0]]  # as sure as the good one, of the wrong class
    random = noisy(np.zeros_like(y), 0.0, 10)
    held_out = held({"good": good, "permuted": permuted, "random": random}, y)
    heard = weighting.learned(held_out.bank, None, held_out, base=base)
    trust = heard.found["trust"].mean(0)
    assert trust[0] > 0.85
    assert trust[1:].max() < 0.1
    # Entropy weights alone take the permuted one for as good as the good one.
    assert heard.teachers[:, 0].mean() > 0.8
    if base == "entropy":
        plain = weighting.entropy(held_out.bank).mean(0)
        torch.testing.assert_close(plain[0], plain[1])


def test_being_too_sure_costs_trust_where_it_is_wrong():
    """A calibrated teacher, right in 80 of 100 at .8, and one that says .999 of the same classes.

    The likelihood phi -> (.8 + .199 phi)^80 (.2 - .199 phi)^20 in phi, the sure one's trust, has slope
    80 * .199 / .8 - 20 * .199 / .2 = 0 at 0 and falls beyond: calibration is where sureness pays.
    """
    y = np.zeros(100, dtype=np.int64)
    said = np.where(np.arange(100) < 80, 0, 1)
    calibrated, sure = (np.where(np.eye(2)[said] == 1, c, 1 - c) for c in (0.8, 0.999))
    exact = quadrature(np.stack([sure, calibrated]), y, np.full((2, 100), 0.5), (1.0, 1.0))
    assert exact[0] < 0.3
    check_first(trust_of(held({"sure": sure, "calibrated": calibrated}, y), base="uniform"), exact)


def test_being_sure_is_trusted_where_it_is_right():
    y = np.zeros(100, dtype=np.int64)
    probs = np.stack([np.full((100, 2), c) for c in ([0.999, 0.001], [0.8, 0.2])])
    exact = quadrature(probs, y, np.full((2, 100), 0.5), (1.0, 1.0))
    assert exact[0] > 0.9
    check_first(trust_of(held({"sure": probs[0], "calibrated": probs[1]}, y), base="uniform"), exact)


def test_the_digits():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    x, y = load_digits(return_X_y=True)
    x, train = x / 16, np.arange(len(y)) < 400
    fitted = LogisticRegression(max_iter=300).fit(x[train], y[train])
    shuffled = np.random.default_rng(0).permutation(10)
    wrong = LogisticRegression(max_iter=300).fit(x[train], shuffled[y[train]])
    rows = slice(400, 700)
    probs = {"right": fitted.predict_proba(x[rows]), "shuffled": wrong.predict_proba(x[rows])}
    held_out = held(probs, y[rows])
    heard = weighting.learned(held_out.bank, None, held_out)
    assert heard.found["trust"][:, 0].mean() > 0.95
    assert float(heard.found["trust"][:, 0].quantile(0.05)) > 0.9


# ---- what comes out, and edges -------------------------------------------------------------------------------------


def example(num_rows: int = 30) -> HeldOut:
    y = np.random.default_rng(11).integers(0, 3, num_rows)
    return held({"a": noisy(y, 2.0, 12), "b": noisy(y, 1.0, 13)}, y)


def test_weights_are_trust_times_entropy_weights_at_the_mean():
    held_out, y = example(), np.array([0, 1, 2, 0])
    bank = TeacherBank.from_probs({"a": noisy(y, 1.0, 14), "b": noisy(y, 0.5, 15)})
    heard = weighting.learned(bank, None, held_out, base="entropy")
    assert heard.found["trust"].shape == (1000, 2)
    torch.testing.assert_close(heard.found["trust"].sum(-1), torch.ones(1000))
    expected = heard.found["trust"].mean(0) * torch.from_numpy(entropy_weights(bank.mean_probs().numpy())).T
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(heard.teachers, expected.float(), rtol=1e-4, atol=1e-6)
    assert heard.scale is None


def test_the_same_seed_gives_the_same_trust_and_chance_elsewhere_does_not_matter():
    held_out = example()
    first = weighting.learned(held_out.bank, None, held_out, seed=3, **FEW)
    torch.manual_seed(99)
    again = weighting.learned(held_out.bank, None, held_out, seed=3, **FEW)
    other = weighting.learned(held_out.bank, None, held_out, seed=4, **FEW)
    assert torch.equal(first.found["trust"], again.found["trust"])
    assert not torch.equal(first.found["trust"], other.found["trust"])


def test_one_teacher_is_all_there_is_and_needs_no_labels():
    bank = TeacherBank.from_probs({"a": np.array([[0.9, 0.1], [0.5, 0.5]])})
    heard = weighting.weigh(default_config("weighting", "learned"), bank)
    assert heard.teachers.tolist() == [[1.0], [1.0]]
    assert not heard.found


def test_rows_that_nobody_explains_are_left_out():
    p = np.array([[0.6, 0.4, 0.0], [0.5, 0.5, 0.0], [0.2, 0.8, 0.0]])
    other = np.array([[0.3, 0.7, 0.0], [0.1, 0.9, 0.0], [0.9, 0.1, 0.0]])
    full = held({"a": p, "b": other}, np.array([0, 2, 1]))
    kept = held({"a": p[[0, 2]], "b": other[[0, 2]]}, np.array([0, 1]))
    ours, theirs = (weighting.learned(full.bank, None, h, seed=1, **FEW).found["trust"] for h in (full, kept))
    torch.testing.assert_close(ours, theirs)


def test_a_teacher_that_gives_a_label_nothing_is_not_yet_worthless():
    """One row, p = 0 of the first and 1 of the second: the posterior is Beta(1, 2), mean 1 / 3."""
    one = held({"a": np.array([[0.0, 1.0]]), "b": np.array([[1.0, 0.0]])}, np.array([0]))
    check_first(trust_of(one, base="uniform"), (1 / 3, 1 - 0.95**0.5, 1 - 0.05**0.5))


def test_draws_of_a_teacher_count_by_their_mean():
    y = np.array([0, 1, 1, 0, 1])
    draws = np.stack([noisy(y, 1.0, s, 2) for s in range(4)])
    other = noisy(y, 0.5, 9, 2)
    of_draws, of_mean = (held({"a": a, "b": other}, y) for a in (draws, draws.mean(0)))
    ours, theirs = (
        weighting.learned(h.bank, None, h, seed=1, **FEW).found["trust"] for h in (of_draws, of_mean)
    )
    # Rounding of the means grows along a chain, which all the same stays together for so few iterations.
    torch.testing.assert_close(ours.mean(0), theirs.mean(0), rtol=0.02, atol=0.01)


def test_unlabelled_rows_are_not_counted():
    full = example()
    labels = full.labels.clone()
    labels[::2] = -1
    half = HeldOut(full.bank.take(torch.arange(1, 30, 2)), full.labels[1::2])
    ours = weighting.learned(full.bank, None, HeldOut(full.bank, labels), seed=1, **FEW).found["trust"]
    theirs = weighting.learned(full.bank, None, half, seed=1, **FEW).found["trust"]
    assert torch.equal(ours, theirs)


def test_twenty_teachers_of_a_thousand_classes():
    y = np.random.default_rng(0).integers(0, 1000, 40)
    probs = {f"t{m}": noisy(y, 8.0 if m == 4 else 1.0, m, 1000) for m in range(20)}
    held_out = held(probs, y)
    heard = weighting.learned(held_out.bank, None, held_out, warmup=50, draws=30)
    assert heard.found["trust"].mean(0).argmax() == 4
    assert torch.isfinite(heard.teachers).all()
    torch.testing.assert_close(heard.teachers.sum(-1), torch.ones(40))


def test_what_is_missing_is_told():
    held_out = example()
    config = default_config("weighting", "learned")
    with pytest.raises(InputError, match="no labelled held-out row"):
        weighting.weigh(config, held_out.bank, held_out.labels)
    unlabelled = HeldOut(held_out.bank, torch.full((30,), -1))
    with pytest.raises(InputError, match="no labelled held-out row"):
        weighting.weigh(config, held_out.bank, None, Offer(unlabelled))
    zeros = held({"a": np.array([[1.0, 0.0]]), "b": np.array([[1.0, 0.0]])}, np.array([1]))
    with pytest.raises(InputError, match="all teachers give the label of every held-out row probability 0"):
        weighting.weigh(config, zeros.bank, None, Offer(zeros))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"concentration": 0.0}, "weighting.concentration is 0"),
        ({"base": "entrop"}, "did you mean 'entropy'"),
        ({"warmup": 10}, "weighting.warmup is 10"),
        ({"draws": 0}, "weighting.draws is 0"),
        ({"num_chains": 0}, "weighting.num_chains is 0"),
    ],
)
def test_bad_settings_are_refused(given, told):
    with pytest.raises(InputError, match=told):
        LearnedConfig(**given)
    held_out = example()
    with pytest.raises(InputError, match=told):
        weighting.learned(held_out.bank, None, held_out, **given)


def test_certainty_does_not_outvote_labels():
    """Always certain and wrong at random, a teacher has entropy weight 1 of two; trust comes from labels alone."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=80)
    certain = np.eye(3)[rng.integers(3, size=80)]
    modest = 0.7 * np.eye(3)[y] + 0.1
    held_out = held({"certain": certain, "modest": modest}, y)
    assert weighting.entropy(held_out.bank)[0].tolist() == [1.0, 0.0]
    assert weighting.learned(held_out.bank, None, held_out).teachers[0, 1] > 0.9
