"""A weight prior made of posteriors, against scipy's densities: as a Pyro model, traced, and sampled."""

import json

import numpy as np
import pyro
import pytest
import torch
from drawn import NORMAL, drawn, random_moments
from pyro import poutine
from scipy.special import logsumexp
from scipy.stats import norm
from torch import Tensor, nn
from torch.func import grad

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.graphs import Execution
from mtbkd.inference import HMCConfig, LaplaceConfig, SVIConfig, curvature
from mtbkd.posterior import Posterior
from mtbkd.students import NormalWeights, PosteriorWeights, Student, mlp
from mtbkd.students.as_function import as_function
from mtbkd.students.skeleton import Skeleton

X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, -1, -1, 0])
SHARES = (0.7, 0.1, 0.2)

pytestmark = pytest.mark.filterwarnings("ignore:.*no labelled example", "ignore:.*times as far apart")


def network() -> nn.Module:
    return mlp(2, [3], 3)


SKELETON = Skeleton(network())


def posteriors(count: int) -> list[Posterior]:
    wide = {"name": "normal", "scale": 5.0, "kind": "fixed"}  # wider than any of them
    return [drawn(network(), *random_moments(network(), seed), wide) for seed in range(count)]


def prior_of_kind(kind: str, **more) -> PosteriorWeights:
    if kind == "one":
        return PosteriorWeights(posteriors(1), **more)
    if kind == "product":
        return PosteriorWeights(posteriors(3), **more)
    return PosteriorWeights(posteriors(3), "mixture", shares=SHARES, **more)


def by_scipy(kind: str, theta: np.ndarray, widen: float = 1.0) -> float:
    """Log-density of the flat vector `[D]`, from the moments that the posteriors were made with."""
    moments = [random_moments(network(), seed) for seed in range(1 if kind == "one" else 3)]
    mean, sd = (
        np.stack([np.concatenate([v.numpy().ravel() for v in part[which].values()]) for part in moments])
        for which in (0, 1)
    )
    if kind != "product":
        log_shares = np.log(SHARES) if kind == "mixture" else [0.0]
        return float(logsumexp(log_shares + norm.logpdf(theta, mean, widen * sd).sum(-1)))
    precision = (1 / sd**2).sum(0) - 2 / 25
    centre = (mean / sd**2).sum(0) / precision
    return float(norm.logpdf(theta, centre, widen * precision**-0.5).sum())


def thetas(count: int, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(dtype)


def likelihood(theta: Tensor) -> Tensor:
    """Of the labelled rows, in float64."""
    parts = theta.double().split([shape.numel() for shape in SKELETON.shapes.values()])
    weights = {n: p.view(s) for p, (n, s) in zip(parts, SKELETON.shapes.items(), strict=True)}
    known = Y >= 0
    return -nn.functional.cross_entropy(SKELETON(weights, X[known].double()), Y[known], reduction="sum")


KINDS = ["one", "product", "mixture"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("dtype", "chains", "widen"),
    [(torch.float32, 3, 1.7), (torch.float64, 1, 1.0), (torch.float64, 3, 1.7)],
)
def test_the_traced_log_joint_is_scipys(kind, dtype, chains, widen):
    prior = prior_of_kind(kind, widen=widen)
    student = Student(network(), weight_prior=prior)
    density = Density(student, student.rows((X, Y)), dtype=dtype)
    theta = thetas(chains, density.dim, dtype)
    value, slope = density.value_and_grad(theta)
    assert value.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 1e-11
    for c in range(chains):
        expected = by_scipy(kind, theta[c].double().numpy(), widen) + float(likelihood(theta[c]))
        assert float(value[c]) == pytest.approx(expected, rel=tolerance)
        # The gradient by central differences of scipy's density.
        for j in (0, 5, density.dim - 1):
            step = np.zeros(density.dim)
            step[j] = 1e-5
            ends = [by_scipy(kind, theta[c].double().numpy() + sign * step, widen) for sign in (1, -1)]
            of_rows = grad(likelihood)(theta[c].double())[j]
            assert float(slope[c, j]) == pytest.approx(
                (ends[0] - ends[1]) / 2e-5 + float(of_rows), rel=1e-4, abs=1e-4
            )


@pytest.mark.compile
@pytest.mark.parametrize("kind", ["product", "mixture"])
def test_the_compiled_log_joint_is_the_eager_one(kind):
    student = Student(network(), weight_prior=prior_of_kind(kind))
    density = Density(student, student.rows((X, Y)), dtype=torch.float64)
    theta = thetas(2, density.dim, torch.float64)
    compiled = density.with_execution(Execution(compiled=True))
    torch.testing.assert_close(compiled.log_prob(theta), density.log_prob(theta))
    assert next(iter(compiled.graphs.values())).trusted


def test_a_mixture_is_of_whole_weight_vectors():
    """Two narrow components at -1 and 1 of all weights: a vector half here and half there is far from both."""
    net = nn.Linear(1, 2, bias=False)
    sd = {"weight": torch.full((2, 1), 0.1)}
    ends = [drawn(net, {"weight": torch.full((2, 1), m)}, sd) for m in (-1.0, 1.0)]
    prior, skeleton = PosteriorWeights(ends, "mixture"), Skeleton(net)
    at = torch.zeros(1).double()
    whole, split = (
        float(prior.log_prob(skeleton, {"weight": torch.tensor(w).double()[:, None]}, at))
        for w in ([1.0, 1.0], [1.0, -1.0])
    )
    assert whole == pytest.approx(np.log(0.5) + 2 * norm.logpdf(0, 0, 0.1))
    assert split == pytest.approx(norm.logpdf(0, 0, 0.1) + norm.logpdf(2, 0, 0.1))  # of both: twice a half


def test_a_mixture_is_exact_in_single_precision_far_from_its_first_component():
    """10,000 weights, the first component 100 standard deviations off: the ratio to it would be a sum of 5e7."""
    net = nn.Linear(100, 100, bias=False)
    sd = {"weight": torch.full((100, 100), 0.01)}
    ends = [drawn(net, {"weight": torch.full((100, 100), m)}, sd) for m in (-0.5, 0.5)]
    student = Student(net, weight_prior=PosteriorWeights(ends, "mixture"))
    density = Density(student, (torch.randn(2, 100), torch.tensor([-1, -1])))
    noise = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    expected = np.log(0.5) + norm.logpdf(noise.double().numpy() * 0.01, 0, 0.01).sum()
    assert float(density.log_prob(0.5 + 0.01 * noise[None])) == pytest.approx(expected, rel=1e-5)


def test_a_mixture_of_one_is_the_product_of_one():
    prior = PosteriorWeights(posteriors(1), "mixture")
    sites = poutine.trace(Student(network(), weight_prior=prior)).get_trace(X, Y).nodes
    assert "weight_prior" not in sites
    assert prior.record()["pool"] == "mixture"


@pytest.mark.parametrize("kind", KINDS)
def test_with_layers_held_the_log_joint_is_the_whole_ones(kind):
    student = Student(network(), weight_prior=prior_of_kind(kind), bayesian="last")
    density = Density(student, student.rows((X, Y)), dtype=torch.float64)
    theta = thetas(2, density.dim, torch.float64)
    last = density.restrict(student.bayesian, density.unflatten(theta[0]))
    of_both = density.flatten(
        density.unflatten(theta[0]) | {n: density.unflatten(theta[1])[n] for n in student.bayesian}
    )
    got = last.log_prob(last.flatten(density.unflatten(theta[1]))[None])
    torch.testing.assert_close(got, density.log_prob(of_both[None]))


def test_terms_sum_to_the_log_density():
    student = Student(network(), weight_prior=prior_of_kind("mixture"))
    density = Density(student, student.rows((X, Y)), dtype=torch.float64)
    theta = thetas(2, density.dim, torch.float64)
    terms = density.terms(theta)
    assert terms["weight_prior"][0] == pytest.approx(by_scipy("mixture", theta[0].numpy()))
    torch.testing.assert_close(sum(terms.values()), density.log_prob(theta))


def test_it_may_be_first_used_within_a_transformation():
    """Moments are put in their place once; a place found while a function is transformed must serve later too."""
    prior, skeleton = prior_of_kind("mixture"), Skeleton(network())
    weights = {name: torch.zeros(shape).double() for name, shape in skeleton.shapes.items()}
    like = torch.zeros(1).double()

    def value(w: dict[str, Tensor]) -> Tensor:
        return prior.log_prob(skeleton, w, like)

    first = torch.func.vmap(grad(value))({name: w[None] for name, w in weights.items()})
    again = torch.func.vmap(grad(value))({name: w[None] for name, w in weights.items()})
    torch.testing.assert_close(first, again)
    zero = np.zeros(sum(w.numel() for w in weights.values()))
    assert float(value(weights)) == pytest.approx(by_scipy("mixture", zero))


@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_that_learns_with_the_student_hears_it(kind):
    student = Student(network(), weight_prior=prior_of_kind(kind))
    theta = thetas(1, 21, torch.float32)[0]
    function = as_function(student, (X, Y), 1.0, 1.0, 0)
    assert float(function.log_prior(theta)) == pytest.approx(by_scipy(kind, theta.double().numpy()), rel=1e-5)


# ---- engines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["product", "mixture"])
def test_without_data_the_posterior_is_the_prior(pool):
    """HMC on no labels at all. Product of two: precision 2 / .25 - 1 / 2.25. Mixture of means -.5 and .5: variance
    .25 + .25. 4,000 draws, of which at least 1,000 are effective: 5 standard errors."""
    net = nn.Linear(1, 2, bias=False)
    sd = {"weight": torch.full((2, 1), 0.5)}
    ends = [drawn(net, {"weight": torch.full((2, 1), m)}, sd) for m in (-0.5, 0.5)]
    student = Student(net, weight_prior=PosteriorWeights(ends, pool))
    config = HMCConfig(num_chains=4, warmup=150, draws=1000, warm_start=0, dtype="float64")
    data = (torch.zeros(2, 1), torch.tensor([-1, -1]))
    draws = (
        fit(student, data, config, progress=False, compiled="never").values["weight"].flatten(0, 1)[..., 0]
    )
    variance = 1 / (2 / 0.25 - 1 / NORMAL["scale"] ** 2) if pool == "product" else 0.5
    assert draws.mean(0).abs().max() < 5 * (variance / 1000) ** 0.5
    assert (draws.var(0) / variance - 1).abs().max() < 5 * (2 / 1000) ** 0.5
    correlation = float(torch.corrcoef(draws.T)[0, 1])
    assert correlation == pytest.approx(0.0 if pool == "product" else 0.5, abs=5 / 1000**0.5)


def test_laplace_adds_the_products_precision():
    prior = prior_of_kind("product", widen=2.0)
    student = Student(network(), weight_prior=prior)
    density = Density(student, student.rows((X, Y)))
    sd = [random_moments(network(), seed)[1] for seed in range(3)]
    expected = {name: (sum(1 / s[name] ** 2 for s in sd) - 2 / 25) / 4 for name in sd[0]}
    torch.testing.assert_close(
        curvature.weight_precision(density), density.flatten(expected).double(), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("structure", ["diagonal", "full"])
def test_laplace_refuses_a_mixture(structure):
    student = Student(network(), weight_prior=prior_of_kind("mixture"))
    config = LaplaceConfig(structure=structure, warm_start=2, draws=2)
    with pytest.raises(InputError, match=r"a mixture of 3 posteriors.*prior_pool=product"):
        fit(student, (X, Y), config, progress=False)


def test_a_saved_posterior_is_the_next_tasks_prior(tmp_path):
    """From fit to disk to prior, and on from there: records, dtype, and a prior that has no record of a normal."""
    few = SVIConfig(steps=20, warm_start=5, draws=12)
    first = fit(Student(network(), weight_prior=NormalWeights(0.8)), (X, Y), few, progress=False)
    assert first.meta["weight_prior"] == {"name": "normal", "scale": 0.8, "kind": "fan_in"}
    first.save(tmp_path / "first")
    prior = PosteriorWeights({"first": Posterior.load(tmp_path / "first")})
    draws = first.values["0.weight"].flatten(0, 1)
    torch.testing.assert_close(prior.components[0].mean["0.weight"].float(), draws.mean(0))
    second = fit(Student(network(), weight_prior=prior), (X, Y), few, progress=False)
    record = {"name": "posterior", "pool": "product", "widen": 1.0, "posteriors": ["first"]}
    assert second.meta["weight_prior"] == record
    assert json.loads(json.dumps(second.meta))["weight_prior"] == record
    with pytest.raises(InputError, match=r"posterior '1' was itself fitted with \{'name': 'posterior'"):
        PosteriorWeights([first, second])


def test_starts_are_draws():
    """Of each component as often as its share says; the mean of all of them is the mixture's."""
    net = nn.Linear(1, 2, bias=False)
    sd = {"weight": torch.tensor([[0.1], [0.2]])}
    ends = [drawn(net, {"weight": torch.full((2, 1), m)}, sd) for m in (-1.0, 1.0)]
    prior, skeleton = PosteriorWeights(ends, "mixture", shares=[0.25, 0.75], widen=2.0), Skeleton(net)
    generator = torch.Generator().manual_seed(0)
    starts = torch.stack([prior.initial(skeleton, generator)["weight"][:, 0] for _ in range(2000)])
    right = (starts > 0).all(1)
    assert float(right.float().mean()) == pytest.approx(0.75, abs=5 * (0.75 * 0.25 / 2000) ** 0.5)
    assert (starts[right] - 1).std(0).tolist() == pytest.approx([0.2, 0.4], rel=0.1)
    assert starts.dtype == torch.float32


# ---- what is refused ---------------------------------------------------------------------------------------------


def test_independent_starts_are_told_and_one_start_is_not():
    def fitted(seed: int, shared: bool) -> Posterior:
        mean, sd = random_moments(network(), 0 if shared else seed, spread=5.0)
        return drawn(network(), mean, {name: 0.5 * s for name, s in sd.items()})

    with pytest.warns(UserWarning, match="times as far apart.*other starts do not correspond"):
        PosteriorWeights([fitted(0, False), fitted(1, False)])
    with pyro.validation_enabled(False), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mtbkd.students.posterior_moments.warnings.warn", lambda *a, **k: pytest.fail("warned"))
        PosteriorWeights([fitted(0, True), fitted(1, True)])
        PosteriorWeights([fitted(0, False), fitted(1, False)], "mixture")


def test_other_shapes_are_refused():
    wide = drawn(mlp(2, [4], 3), *random_moments(mlp(2, [4], 3), 0))
    with pytest.raises(
        InputError, match=r"'0\.weight' is \(4, 2\) in posterior 'a' and \(3, 2\) in the student"
    ):
        Student(network(), weight_prior=PosteriorWeights({"a": wide}))
    with pytest.raises(InputError, match=r"'0\.weight' is \(3, 2\) in posterior '0' and \(4, 2\) in '1'"):
        PosteriorWeights([*posteriors(1), wide])
    with pytest.raises(InputError, match=r"'weight' is \(3, 2\) in posterior '0' and absent in the student"):
        Student(
            network(),
            weight_prior=PosteriorWeights([drawn(nn.Linear(2, 3), *random_moments(nn.Linear(2, 3), 0))]),
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pool": "mean"}, "prior_pool: unknown value 'mean'"),
        ({"widen": 0.5}, r"prior_widen is 0\.5.*at least 1"),
        ({"shares": [0.5, 0.5]}, "a product has no shares"),
        ({"pool": "mixture", "shares": [0.5]}, r"shares are \[0\.5\]; give 2 numbers"),
        ({"pool": "mixture", "shares": [0.5, 0.6]}, "sum to 1"),
        ({"pool": "mixture", "shares": [1.5, -0.5]}, ">= 0"),
    ],
)
def test_bad_settings_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        PosteriorWeights(posteriors(2), **given)


def test_nothing_to_pool_is_refused():
    with pytest.raises(InputError, match="from no posterior"):
        PosteriorWeights([])


def test_a_share_of_zero_leaves_a_component_out():
    prior = PosteriorWeights(posteriors(2), "mixture", shares=[1.0, 0.0])
    skeleton = Skeleton(network())
    weights = {name: torch.zeros(shape).double() for name, shape in skeleton.shapes.items()}
    got = prior.log_prob(skeleton, weights, torch.zeros(1).double())
    alone = PosteriorWeights(posteriors(1)).log_prob(skeleton, weights, torch.zeros(1).double())
    torch.testing.assert_close(got, alone)
    assert np.isfinite(float(got))


def test_a_plain_student_has_no_factor_of_its_weights():
    student = Student(network())
    sites = poutine.trace(student).get_trace(X, Y)
    names = {name for name, node in sites.nodes.items() if node["type"] == "sample"}
    assert names == {*student.skeleton.shapes, "rows", "labels"}
