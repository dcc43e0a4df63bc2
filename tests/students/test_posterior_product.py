"""Products against Bayes' rule in closed form: normals, and a regression with orthogonal columns."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from drawn import NORMAL, drawn, random_moments
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.students import NormalWeights, PosteriorWeights
from mtbkd.students.posterior_moments import Moments
from mtbkd.students.posterior_product import prior_of, product
from mtbkd.students.skeleton import Skeleton

# Columns of ones, signs and their products: orthogonal, so that a posterior has no correlations.
DESIGN = torch.tensor([[1, 1, 1], [1, -1, 1], [1, 1, -1], [1, -1, -1]]).double()
NOISE, PRIOR = 0.7, 1.5
REGRESSION = nn.Linear(3, 1, bias=False)


def exact_posterior(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of N(0, PRIOR^2 I) given y = x w + N(0, NOISE^2), the textbook's formula."""
    precision = torch.eye(x.shape[1]).double() / PRIOR**2 + x.T @ x / NOISE**2
    covariance = torch.linalg.inv(precision)
    return covariance @ x.T @ y / NOISE**2, covariance


def shards(count: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(count)
    truth = torch.randn(3, generator=generator).double()
    x = [(m + 1) * DESIGN for m in range(count)]
    return [(rows, rows @ truth + NOISE * torch.randn(4, generator=generator).double()) for rows in x]


@pytest.mark.filterwarnings("ignore:.*times as far apart")
@pytest.mark.parametrize("count", [1, 2, 5])
def test_posteriors_of_disjoint_shards_make_the_posterior_of_all(count):
    parts = shards(count)
    posteriors = []
    for x, y in parts:
        mean, covariance = exact_posterior(x, y)
        moments = ({"weight": mean[None]}, {"weight": covariance.diag().sqrt()[None]})
        posteriors.append(drawn(REGRESSION, *moments, weight_prior=NORMAL))
    whole, covariance = exact_posterior(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
    (found,) = PosteriorWeights(posteriors).components
    torch.testing.assert_close(found.mean["weight"][0], whole)
    torch.testing.assert_close(found.variance["weight"][0], covariance.diag())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_posterior_of_one_task_as_prior_of_the_next_is_the_posterior_of_both(dtype):
    """As densities of a Pyro model, at any weights: they differ by a constant, log p(task 1)."""
    first, second = shards(2)
    mean, covariance = exact_posterior(*first)
    earlier = drawn(REGRESSION, {"weight": mean[None]}, {"weight": covariance.diag().sqrt()[None]})
    skeleton = Skeleton(REGRESSION)

    def regression(prior):
        def model(x: Tensor, y: Tensor) -> None:
            weights = prior.sample(skeleton, x)
            with pyro.plate("rows", len(x)):
                pyro.sample("y", dist.Normal(skeleton(weights, x)[:, 0], NOISE), obs=y)

        return model

    both = tuple(torch.cat(tensors) for tensors in zip(first, second, strict=True))
    after = Density(regression(PosteriorWeights([earlier])), second, dtype=dtype)
    joint = Density(regression(NormalWeights(PRIOR, "fixed")), both, dtype=dtype)
    theta = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    (value, slope), (expected, gradient) = after.value_and_grad(theta), joint.value_and_grad(theta)
    tight = {"rtol": 1e-10, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-3}
    x, y = first
    evidence = MultivariateNormal(
        torch.zeros(4).double(), NOISE**2 * torch.eye(4).double() + PRIOR**2 * x @ x.T
    ).log_prob(y)
    torch.testing.assert_close(expected - value, evidence.expand(4).to(dtype), **tight)
    torch.testing.assert_close(slope, gradient, **tight)


def test_the_prior_of_gains_is_round_one():
    """A gain that no shard knew of: its posteriors are its prior N(1, s^2), and so is their product."""
    network = nn.GroupNorm(1, 2)
    skeleton = Skeleton(network)
    prior = NormalWeights(0.4, "fixed")
    mean = {"weight": torch.ones(2).double(), "bias": torch.zeros(2).double()}
    variance = {name: torch.full((2,), 0.16).double() for name in mean}
    found = product([Moments(str(m), mean, variance) for m in range(3)], prior, skeleton)
    torch.testing.assert_close(found.mean, mean)
    torch.testing.assert_close(found.variance, variance)


def test_a_precision_that_is_not_positive_is_refused():
    """Variances 4 and 3 under a prior of 1.5^2: 1/4 + 1/3 > 4/9, 1/6 + 1/4 < 4/9."""
    network = nn.Linear(2, 1, bias=False)
    mean = {"weight": torch.zeros(1, 2).double()}
    ones = [{"weight": torch.tensor([[4.0, 6.0]]).double()}, {"weight": torch.tensor([[3.0, 4.0]]).double()}]
    found = [Moments(name, mean, variance) for name, variance in zip("ab", ones, strict=True)]
    message = (
        r"not positive for 1 of 2 weights of parameter 'weight': posterior 'a' has a variance of 6 there and "
    )
    with pytest.raises(InputError, match=message + r"the prior 2\.25;.*mixture"):
        product(found, NormalWeights(1.5, "fixed"), Skeleton(network))


def test_the_prior_is_the_one_that_all_were_fitted_with():
    mean, sd = random_moments(REGRESSION, 0)

    def fitted_with(*records: object) -> list[Moments]:
        return [Moments(f"p{m}", mean, sd, record or {}) for m, record in enumerate(records)]

    found = prior_of(fitted_with(NORMAL, dict(NORMAL)))
    assert (found.scale, found.kind) == (1.5, "fixed")
    with pytest.raises(
        InputError, match=r"that of posterior 'p1' was not kept with it;.*prior=NormalWeights"
    ):
        prior_of(fitted_with(NORMAL, None))
    with pytest.raises(InputError, match=r"'p1' was itself fitted with .*'posterior'.*the latest alone"):
        prior_of(fitted_with(NORMAL, {"name": "posterior"}))
    with pytest.raises(InputError, match=r"'p0' was fitted with .*1\.5.* and posterior 'p1' .*3\.0"):
        prior_of(fitted_with(NORMAL, NORMAL | {"scale": 3.0}))
    given = NormalWeights(1.5, "fixed")
    assert prior_of(fitted_with(None, NORMAL), given).scale == 1.5
    with pytest.raises(InputError, match=r"prior= is .*3\.0.* and posterior 'p0' .*1\.5"):
        prior_of(fitted_with(NORMAL, None), NormalWeights(3.0, "fixed"))


def test_a_given_prior_takes_the_place_of_an_unknown_one():
    mean, sd = random_moments(REGRESSION, 0)
    sd = {"weight": 0.5 * torch.ones(1, 3).double()}
    unknown = [drawn(REGRESSION, mean, sd, weight_prior=None) for _ in range(2)]
    with pytest.raises(InputError, match="was not kept"):
        PosteriorWeights(unknown)
    (found,) = PosteriorWeights(unknown, prior=NormalWeights(2.0, "fixed")).components
    torch.testing.assert_close(found.variance["weight"], torch.full((1, 3), 1 / (2 / 0.25 - 1 / 4)).double())
    torch.testing.assert_close(found.mean["weight"], mean["weight"] * (2 / 0.25) * found.variance["weight"])
