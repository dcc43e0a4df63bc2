"""Sensitivity to a teacher against posteriors on a grid, fitted again with that teacher's precision changed."""

import numpy as np
import pytest
import torch
from scipy.special import gammaln, logsumexp

from mtbkd.draw_statistics import power_scaling
from mtbkd.errors import InputError
from mtbkd.evaluation.sensitivity import beyond_chance, chance, changes, sensitivity, step_of
from mtbkd.priors import DirichletMixture
from mtbkd.teachers import TeacherBank

# ---- a student of two weights, logits (0, a + b x), on a grid ----------------------------------------------------

X = np.linspace(-2, 2, 11)
HELD_OUT = np.array([-3.0, -0.4, 1.1])
CONCENTRATION = 6.0
WEIGHTS = np.array([0.5, 0.3, 0.2])
TEACHERS = np.stack(  # probability of class 1: a slope, the opposite and weaker, and a constant
    [1 / (1 + np.exp(-2 * X)), 1 / (1 + np.exp(X)), np.full_like(X, 0.7)]
)


def grid() -> np.ndarray:
    """`[G, 2]` values of (a, b): beyond them the weight prior N(0, 2^2) and the teachers leave next to nothing."""
    side = np.linspace(-9, 9, 181)
    return np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)


def log_posterior(theta: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`[G]`, by plain formulas in float64; teacher m has precision alpha_m * CONCENTRATION."""
    f = theta[:, :1] + theta[:, 1:] * X
    log_q = np.stack([-np.logaddexp(0, f), -np.logaddexp(0, -f)], -1)[:, :, None]  # [G, N, 1, 2]
    p = np.stack([1 - TEACHERS.T, TEACHERS.T], -1)  # [N, M, 2]
    s = alpha * CONCENTRATION
    log_b = gammaln(1 + s[:, None] * p).sum(-1) - gammaln(2 + s)
    components = np.log(WEIGHTS) - log_b + s * (p * log_q).sum(-1)
    return logsumexp(components, -1).sum(-1) - (theta**2).sum(-1) / (2 * 2.0**2)


def mass(theta: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    log = log_posterior(theta, alpha)
    weights = np.exp(log - log.max())
    return weights / weights.sum()


def said(theta: np.ndarray) -> np.ndarray:
    """Probability of class 1 at the held-out inputs, `[G, 3]`."""
    return 1 / (1 + np.exp(-(theta[:, :1] + theta[:, 1:] * HELD_OUT)))


def influence(theta: np.ndarray) -> np.ndarray:
    """`[G, M]` by the toolkit's prior."""
    p = np.stack([1 - TEACHERS, TEACHERS], -1)
    bank = TeacherBank.from_probs({f"t{m}": one for m, one in enumerate(p)})
    prior = DirichletMixture(bank, torch.tensor(WEIGHTS).expand(len(X), 3).float(), CONCENTRATION)
    f = torch.from_numpy(theta[:, :1] + theta[:, 1:] * X).float()
    logits = torch.stack([torch.zeros_like(f), f], -1)
    return prior.influence(logits, torch.arange(len(X))).double().sum(1).numpy()


def alphas(j: int, factor: float) -> np.ndarray:
    alpha = np.ones(3)
    alpha[j] = factor
    return alpha


def grid_draws(chains: int, draws: int) -> np.ndarray:
    """`[C, S, 2]` independent draws of the posterior on the grid."""
    theta = grid()
    chosen = np.random.default_rng(0).choice(len(theta), size=(chains, draws), p=mass(theta, np.ones(3)))
    return theta[chosen]


def exact_change(j: int) -> np.ndarray:
    """d E[g] / d alpha_j, `[3]`, by posteriors with the precision 1 % higher and lower."""
    theta = grid()
    up, down = (mass(theta, alphas(j, factor)) @ said(theta) for factor in (1.01, 0.99))
    return (up - down) / 0.02


def normalised_cjs(x: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """Kallioinen et al., equation 7: of two distributions with masses p, q at the same points x."""
    order = np.argsort(x)
    width = np.diff(x[order])
    cdf_p, cdf_q = (np.cumsum(m[order])[:-1].clip(1e-300, 1) for m in (p, q))
    both = (cdf_p + cdf_q) / 2
    total = sum(
        width @ (a * np.log2(a / both)) + width @ (b - a) / (2 * np.log(2))
        for a, b in ((cdf_p, cdf_q), (cdf_q, cdf_p))
    )
    return float(np.sqrt(max(total, 0) / (width @ (cdf_p + cdf_q))))


def exact_psens(j: int) -> np.ndarray:
    """`psens` of the three predictions by fitting again at 1.01 and 1 / 1.01, `[3]`."""
    theta = grid()
    at_one, g = mass(theta, np.ones(3)), said(theta)
    found = []
    for x in g.T:
        both = 0.0
        for factor in (1.01, 1 / 1.01):
            other = mass(theta, alphas(j, factor))
            both += max(normalised_cjs(sign * x, at_one, other) for sign in (1, -1))
        found.append(both / (2 * np.log2(1.01)))
    return np.array(found)


def test_the_first_order_change_is_that_of_a_new_fit():
    """Without Monte Carlo: the covariance on the grid is the derivative. A step of 1 % leaves a relative 1e-4."""
    theta = grid()
    m, t, g = mass(theta, np.ones(3)), influence(theta), said(theta)
    covariance = (t * m[:, None]).T @ g - (m @ t)[:, None] * (m @ g)
    for j in range(3):
        np.testing.assert_allclose(covariance[j], exact_change(j), rtol=2e-3, atol=2e-5)


def test_draws_tell_the_change_and_its_error():
    draws = grid_draws(4, 1000)
    flat = draws.reshape(-1, 2)
    found = sensitivity(influence(flat).reshape(4, 1000, 3), said(flat).reshape(4, 1000, 3))
    exact = np.stack([exact_change(j) for j in range(3)])
    spread = (
        np.stack([found.mean_change_error] * 3, -1) * 3
    )  # of one prediction at most so much above the mean's
    assert (np.abs(found.change - exact) < 4 * spread).all()
    assert (np.abs(found.mean_change - exact.mean(1)) < 4 * found.mean_change_error).all()
    np.testing.assert_allclose(found.mean_change, found.change.mean(1), rtol=1e-9)
    # The error is what repeated sets of draws scatter by: 40 sets tell that to a ninth, heavy tails less exactly.
    t, g = influence(flat).reshape(40, 1, 100, 3), said(flat).reshape(40, 1, 100, 3)
    means = [changes(*one)[1] for one in zip(t, g, strict=True)]
    np.testing.assert_allclose(np.std(means, 0) / 40**0.5, found.mean_change_error, rtol=0.5)


def test_psens_is_that_of_new_fits_and_orders_the_teachers():
    draws = grid_draws(4, 2500)
    flat = draws.reshape(-1, 2)
    found = sensitivity(influence(flat).reshape(4, 2500, 3), said(flat).reshape(4, 2500, 3))
    exact = np.stack([exact_psens(j) for j in range(3)])
    # Chance, and of few draws that tell much of a teacher some percent, which Pareto smoothing takes off them.
    assert found.by_chance.max() < 0.02
    assert (np.abs(found.psens - exact) < 2 * found.by_chance[:, None] + 0.1 * exact).all()
    assert found.psens.mean(1).argsort().tolist() == exact.mean(1).argsort().tolist()


def test_a_tenth_is_told_to_first_order():
    """How far the linear answer carries on this posterior: 10 % more of a teacher, within a tenth of the change."""
    theta = grid()
    at_one = mass(theta, np.ones(3)) @ said(theta)
    for j in range(3):
        moved = mass(theta, alphas(j, 1.1)) @ said(theta) - at_one
        np.testing.assert_allclose(0.1 * exact_change(j), moved, rtol=0.15, atol=5e-4)


# ---- chance, and edges --------------------------------------------------------------------------------------------


def normals(chains: int = 4, draws: int = 100, number: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((chains, draws, number))


def test_independent_predictions_are_at_the_level_of_chance():
    t, g = 10 * normals(number=2, seed=1), normals(number=40, seed=2)
    found = sensitivity(t, g)
    np.testing.assert_allclose(found.psens.mean(1), found.by_chance, rtol=0.2)
    assert (
        found.by_chance.min() > 0.05
    )  # with 400 draws and T as wide as this, chance alone is above the rule of thumb
    assert (np.abs(found.change) < 5 * 10 / 400**0.5).all()


def test_chance_falls_with_the_square_root_of_the_draws():
    rng = np.random.default_rng(0)
    few, many = (
        chance(normals(4, s, 1, seed=3)[..., 0], normals(4, s, 60, seed=4), rng) for s in (100, 1600)
    )
    assert few / many == pytest.approx(4, rel=0.25)


def test_what_is_beyond_chance_is_what_a_teacher_without_noise_has():
    """T of deviation 10 correlates with all predictions at .075: its psens is that of .75 times a normal alone."""
    g, noise = normals(4, 100, 16), normals(4, 100, 1, seed=1)
    t = 3 * 4 * g.mean(2, keepdims=True) + 0.91**0.5 * 10 * noise
    found = sensitivity(t, g)
    alone = normals(1, 20000, 1)
    exact = power_scaling(0.75 * alone[..., 0], alone)[0]
    mean = found.psens.mean()
    assert mean > 1.5 * exact
    assert beyond_chance(mean, found.by_chance[0]) == pytest.approx(exact, rel=0.4)
    assert beyond_chance(0.5, 0.3) == pytest.approx(0.4)
    assert beyond_chance(0.3, 0.5) == 0


def test_a_normal_by_hand():
    """T = c theta turns N(0, 1) into N(delta c, 1): the mean of theta moves by c a unit of alpha."""
    theta = normals(4, 5000, 1)
    found = sensitivity(3 * theta, theta)
    assert found.change[0, 0] == pytest.approx(3, rel=5 * (2 / 20000) ** 0.5)
    assert found.khat[0] < 0.5
    # Of theta ** 2 - 1 it does not move to first order.
    other = sensitivity(3 * theta, theta**2)
    assert abs(other.mean_change[0]) < 4 * other.mean_change_error[0]


def test_constants_do_not_count():
    t, g = normals(), normals(seed=5)
    shifted = sensitivity(t + 1e6, g)
    np.testing.assert_allclose(shifted.psens, sensitivity(t, g).psens, rtol=1e-4)
    g[..., 1] = 0.5
    found = sensitivity(t, g)
    assert np.isnan(found.psens[:, 1]).all()
    assert np.isfinite(found.psens[:, [0, 2]]).all()
    assert np.isfinite(found.by_chance).all()
    assert found.change[:, 1].tolist() == [0, 0, 0]
    silent = sensitivity(0 * t, g)
    np.testing.assert_allclose(silent.psens[:, [0, 2]], 0, atol=1e-4)
    assert np.abs(silent.mean_change).max() == 0


def test_one_chain_will_do_and_the_same_seed_gives_the_same():
    t, g = normals(1, 60), normals(1, 60, seed=6)
    first, again = sensitivity(t, g), sensitivity(t, g)
    np.testing.assert_array_equal(first.by_chance, again.by_chance)
    assert first.psens.shape == (3, 3)


@pytest.mark.parametrize(
    ("t", "g"),
    [(normals(), normals(3)), (normals()[0], normals()[0]), (normals(2, 12), normals(2, 12))],
    ids=["other draws", "no chains", "too few"],
)
def test_what_does_not_fit_is_refused(t, g):
    with pytest.raises(InputError, match="at least 25"):
        sensitivity(t, g)


def test_power_scaling_is_arviz_own():
    az = pytest.importorskip("arviz")
    t, g = normals(number=1)[..., 0], normals(seed=7)
    g[..., 0] += t
    posterior = az.from_dict(posterior={"g": g})
    posterior.add_groups({"log_prior": az.convert_to_dataset({"t": t})})
    expected = az.psens(posterior, component="prior", component_var_names=["t"])["g"].values
    np.testing.assert_allclose(power_scaling(t, g), expected, rtol=1e-9)
    assert expected[0] > 3 * expected[1:].max()
    with pytest.raises(InputError, match=r"log_factor has shape \[4, 90\]"):
        power_scaling(t[:, :90], g)


# ---- a student on real rows, fitted again by HMC -------------------------------------------------------------------


@pytest.mark.slow
def test_the_order_of_teachers_is_that_of_new_fits_of_a_real_student():
    """Iris, a linear student, three teachers: told from one fit, and by fits with a fifth more and less of each.

    A fifth, because 1 % drowns in the Monte Carlo error of two fits, and both ways, because it is no longer linear.
    """
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import scale

    from mtbkd import Student, fit
    from mtbkd.inference import HMCConfig
    from mtbkd.priors.dirichlet_mixture import log_normalizer

    x, y = load_iris(return_X_y=True)
    x = scale(x)[:, 1:3]
    pool, held_out = np.arange(150) % 3 == 0, np.arange(150) % 3 == 1
    both = LogisticRegression().fit(x[pool], y[pool]).predict_proba(x[pool])
    sepal = LogisticRegression().fit(x[pool][:, :1], y[pool]).predict_proba(x[pool][:, :1])
    bank = TeacherBank.from_probs({"both": both, "sepal": sepal, "flat": np.full_like(both, 1 / 3)})
    weights = torch.tensor([0.4, 0.3, 0.3]).expand(50, 3)
    data = (torch.from_numpy(x[pool]).float(), torch.from_numpy(np.where(np.arange(50) % 5, -1, y[pool])))
    asked = torch.from_numpy(x[held_out]).float()

    def prior_with(factors: list[float]) -> DirichletMixture:
        """The mixture of teachers whose precisions are multiplied."""
        prior = DirichletMixture(bank, weights, 2.0)
        counts = prior.tensors["counts"].double() * torch.tensor(factors).double()[:, None]
        offset = weights.double().log() + log_normalizer(counts, "density")
        offset = offset - offset.max(-1, keepdim=True).values
        prior.tensors = {"offset": offset.float(), "counts": counts.float()}
        return prior

    def fitted(factors: list[float]):
        student = Student(torch.nn.Linear(2, 3), prior_with(factors))
        config = HMCConfig(num_chains=16, warmup=150, draws=400, warm_start=100, trajectory=1.5)
        return fit(student, data, config, compiled="never", progress=False)

    def top_of(posterior) -> torch.Tensor:
        return posterior.predict(asked).by_chain[:, :, torch.arange(50), top]

    posterior = fitted([1.0, 1.0, 1.0])
    top = posterior.predict(asked).labels
    log_q = posterior.predict(data[0]).probs.log()
    influence = prior_with([1.0, 1.0, 1.0]).influence(log_q, torch.arange(50)).double().sum(1)
    found = sensitivity(influence.unflatten(0, (16, -1)).numpy(), top_of(posterior).numpy())

    moved = []
    for j in range(3):
        ends = [fitted([factor if m == j else 1.0 for m in range(3)]) for factor in (1.2, 0.8)]
        up, down = (top_of(end).mean((0, 1)).numpy() for end in ends)
        moved.append((up - down) / 0.4)
    exact = np.stack(moved)
    order = np.abs(exact).mean(1).argsort().tolist()
    assert order == np.abs(found.change).mean(1).argsort().tolist() == found.psens.mean(1).argsort().tolist()
    # Both are known to some 3 %; what is not linear within a fifth is about as much.
    np.testing.assert_allclose(np.abs(found.change).mean(1), np.abs(exact).mean(1), rtol=0.15)
    assert np.corrcoef(found.change.ravel(), exact.ravel())[0, 1] > 0.98


def test_steps_are_small_where_the_draws_differ_much():
    """Of log weights 0 and 40 the standard deviation is 20: steps of .005 change them by .1, as much as is allowed."""
    assert step_of(np.array([[0.0, 40.0]])) == pytest.approx(0.005)
    assert step_of(np.array([[0.0, 2.0]])) == 0.01
