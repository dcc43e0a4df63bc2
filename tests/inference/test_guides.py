"""Each guide against Pyro's distribution of the same covariance, or Pyro's own flow; its pullback against autograd."""

import math

import pyro.distributions as dist
import pytest
import torch
from pyro.distributions.transforms import AffineAutoregressive
from torch import Tensor
from torch.func import jacrev

from mtbkd.errors import InputError
from mtbkd.inference import guides
from mtbkd.inference.guides import GUIDES, Diagonal, Flow, Full, Guide, LowRank, make_guide, trace_guide

DIM, RANK, PARTICLES = 5, 2, 3
names = pytest.mark.parametrize("name", GUIDES)


def made(name: str) -> tuple[Guide, Tensor, Tensor]:
    """A guide in the middle of nowhere, in float64: the guide, phi, noise."""
    guide = make_guide(name, torch.zeros(DIM, dtype=torch.float64), RANK)
    generator = torch.Generator().manual_seed(0)
    phi = 0.5 * torch.randn(guide.size, generator=generator, dtype=torch.float64)
    return guide, phi, torch.randn(PARTICLES, guide.noise, generator=generator, dtype=torch.float64)


def pyros(guide: Guide, phi: Tensor) -> dist.TorchDistribution:
    """Pyro's distribution that the guide should be, from phi by the module's docstring."""
    loc, scale = phi[:DIM], phi[DIM : 2 * DIM].exp()
    rest = phi[2 * DIM :]
    if isinstance(guide, Diagonal):
        return dist.Normal(loc, scale).to_event(1)
    if isinstance(guide, LowRank):
        factor = scale[:, None] * rest.view(RANK, DIM).T
        return dist.LowRankMultivariateNormal(loc, factor, scale**2)
    lower = rest.view(DIM, DIM).tril(-1) + torch.eye(DIM, dtype=torch.float64)
    return dist.MultivariateNormal(loc, scale_tril=scale[:, None] * lower)


@pytest.mark.parametrize("name", ["diagonal", "low_rank", "full"])
def test_normals_are_pyros(name):
    guide, phi, noise = made(name)
    theirs = pyros(guide, phi)
    theta, entropy = guide.draw(phi, noise)
    torch.testing.assert_close(guide.log_q(phi, noise), theirs.log_prob(theta))
    whole = dist.MultivariateNormal(theirs.mean, theirs.covariance_matrix) if name != "diagonal" else theirs
    torch.testing.assert_close(entropy, whole.entropy())
    torch.testing.assert_close(guide.deviation(phi), theirs.variance.sqrt())
    # theta = loc + B noise with B B' their covariance: nothing is left to chance.
    image = jacrev(lambda e: guide.draw(phi, e[None])[0][0])(noise[0])
    torch.testing.assert_close(guide.draw(phi, torch.zeros_like(noise))[0][0], phi[:DIM])
    torch.testing.assert_close(
        image @ image.T, torch.diag(theirs.variance) if name == "diagonal" else theirs.covariance_matrix
    )


def test_the_flow_is_pyros():
    guide, phi, noise = made("flow")
    assert isinstance(guide, Flow)
    loc, log_scale, parameters = guide.parts(phi)
    transform = AffineAutoregressive(guide.network)
    with torch.no_grad():
        for name, value in guide.network.named_parameters():
            value.copy_(parameters[name])
    white = transform(noise)
    log_det = transform.log_abs_det_jacobian(noise, white) + log_scale.sum()
    theta, entropy = guide.draw(phi, noise)
    torch.testing.assert_close(theta, loc + log_scale.exp() * white)
    base = dist.Normal(torch.zeros(DIM, dtype=torch.float64), 1.0).to_event(1)
    torch.testing.assert_close(guide.log_q(phi, noise), base.log_prob(noise) - log_det)
    torch.testing.assert_close(entropy, base.entropy() + log_det.mean())


def test_the_flows_density_is_that_of_its_jacobian():
    """Without a word of Pyro's: log q = log N(e) - log |d theta / d e| by autograd, which is lower triangular."""
    guide, phi, noise = made("flow")
    for e, log_q in zip(noise, guide.log_q(phi, noise), strict=True):
        jacobian = jacrev(lambda e: guide.draw(phi, e[None])[0][0])(e)
        assert jacobian.triu(1).abs().max() == 0
        expected = torch.distributions.Normal(0.0, 1.0).log_prob(e).sum() - torch.logdet(jacobian)
        torch.testing.assert_close(log_q, expected)


def test_the_flow_holds_the_full_normal():
    """Skip connections alone: m = (L - I) e."""
    guide, _, noise = made("flow")
    full, other, _ = made("full")
    _, _, lower = full.parts(other)
    zero = {name: torch.zeros(shape).double() for name, shape in guide.shapes.items()}
    zero["skip_layer.weight"][:DIM] = lower
    flat = torch.cat([other[: 2 * DIM], *(value.flatten() for value in zero.values())])
    torch.testing.assert_close(guide.draw(flat, noise)[0], full.draw(other, noise)[0])
    torch.testing.assert_close(guide.log_q(flat, noise), full.log_q(other, noise))


def test_the_deviation_of_a_flow_is_that_of_its_draws():
    guide, phi, _ = made("flow")
    noise = torch.randn(40_000, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    many = guide.draw(phi, noise)[0].std(0)
    assert (
        guide.deviation(phi) / many
    ).log().abs().max() < 0.3  # 512 draws, of tails heavier than a normal's


@names
def test_a_guide_begins_around_its_start(name):
    guide, _, _ = made(name)
    start = torch.arange(DIM).double()
    phi = guide.begin(start, 0.1, torch.Generator().manual_seed(3))
    assert phi.shape == (guide.size,)
    assert torch.equal(phi, guide.begin(start, 0.1, torch.Generator().manual_seed(3)))
    noise = torch.randn(20_000, guide.noise, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    theta, _ = guide.draw(phi, noise)
    assert (theta.mean(0) - start).abs().max() < 0.01
    # Half of the low-rank guide's variance is that of two random directions.
    assert (guide.deviation(phi) / 0.1).log().abs().max() < (1.0 if name == "low_rank" else 0.15)
    if name == "flow":
        torch.testing.assert_close(theta, start + 0.1 * noise)


def test_the_first_low_rank_deviation_is_the_one_asked():
    """On average over coordinates: E[s^2 (1 + |w|^2)] = scale^2."""
    guide = make_guide("low_rank", torch.zeros(20_000), 4)
    phi = guide.begin(torch.zeros(20_000), 0.3, torch.Generator().manual_seed(0))
    assert guide.deviation(phi).square().mean().sqrt().item() == pytest.approx(0.3, rel=0.01)


@names
def test_the_pullback_is_autograds(name):
    """Of E_q[log p] + H for a log p that is no quadratic: value and gradient a datum."""
    guide, phi, noise = made(name)
    num_rows = 7

    def log_p(theta: Tensor) -> Tensor:
        return -(theta.square() + 0.3 * theta.sin() + 0.1 * theta.roll(1, -1) * theta).sum(-1)

    leaf = phi.clone().requires_grad_()
    theta, entropy = guide.draw(leaf, noise)
    elbo = (log_p(theta).mean() + entropy) / num_rows
    (-elbo).backward()

    graphs = trace_guide(guide, torch.zeros_like(phi), PARTICLES, num_rows, compiled=False)
    (drawn,) = graphs.draw(phi, noise)
    point = drawn.clone().requires_grad_()
    value = log_p(point)
    (grad,) = torch.autograd.grad(value.sum(), point)
    got, slope = graphs.pull(phi, noise, value.detach(), grad)
    torch.testing.assert_close(drawn, theta.detach())
    torch.testing.assert_close(got, elbo.detach())
    torch.testing.assert_close(slope, leaf.grad)


@pytest.mark.compile
@pytest.mark.parametrize("name", ["diagonal", "low_rank"])
def test_compiled_halves_are_the_eager_ones(name):
    guide = make_guide(name, torch.zeros(DIM), RANK)
    phi = guide.begin(torch.ones(DIM), 0.2, torch.Generator().manual_seed(0))
    noise = torch.randn(PARTICLES, guide.noise, generator=torch.Generator().manual_seed(1))
    grad = torch.randn(PARTICLES, DIM, generator=torch.Generator().manual_seed(2))
    eager, compiled = (trace_guide(guide, phi, PARTICLES, 7, way) for way in (False, True))
    for _ in range(2):  # the first call compares, the second trusts
        torch.testing.assert_close(compiled.draw(phi, noise), eager.draw(phi, noise))
        torch.testing.assert_close(
            compiled.pull(phi, noise, grad[:, 0], grad), eager.pull(phi, noise, grad[:, 0], grad)
        )
    assert compiled.draw.trusted
    assert compiled.pull.trusted


@names
def test_nothing_global_is_touched(name):
    before = torch.get_rng_state()
    guide = make_guide(name, torch.zeros(DIM), RANK)
    guide.begin(torch.zeros(DIM), 0.1, torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_in_one_dimension_all_are_the_normal():
    assert {make_guide(name, torch.zeros(1)) for name in GUIDES} == {Diagonal(1)}


def test_a_rank_above_the_dimension_is_the_dimension():
    assert make_guide("low_rank", torch.zeros(3), 10) == LowRank(3, 3)


def test_what_would_not_fit_in_memory_is_refused():
    large = torch.zeros(20_000)
    with pytest.raises(InputError, match=r"guide=full of 20,000 weights has 400,040,000 numbers.*low_rank"):
        make_guide("full", large)
    with pytest.raises(InputError, match="guide=flow of 20,000 weights"):
        make_guide("flow", large)
    assert make_guide("full", torch.zeros(50)) == Full(50)


@pytest.mark.parametrize("name", ["low_rank", "full", "flow"])
def test_the_numbers_told_are_those_there_are(name, monkeypatch):
    guide, _, _ = made(name)
    monkeypatch.setattr(guides, "MOST_NUMBERS", 0)
    with pytest.raises(InputError, match=f" has {guide.size} numbers"):
        made(name)


def test_unit_entropy_by_hand():
    assert guides.unit_entropy(3) == pytest.approx(1.5 * math.log(2 * math.pi * math.e))
