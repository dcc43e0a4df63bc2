import pytest
import torch
from torch.distributions import Independent, Normal

from mtbkd.students.elementwise_normal import ElementwiseNormal


@pytest.mark.parametrize("shape", [(), (4,), (3, 2)])
def test_it_is_torchs_normal(shape):
    """Density, gradient and moments of torch's own, for one value and for many."""
    generator = torch.Generator().manual_seed(0)
    loc = torch.randn(shape, generator=generator).double()
    scale = 0.1 + torch.rand(shape, generator=generator).double()
    mine, theirs = ElementwiseNormal(loc, scale), Independent(Normal(loc, scale), len(shape))
    value = torch.randn(5, *shape, generator=generator).double().requires_grad_()
    torch.testing.assert_close(mine.log_prob(value), theirs.log_prob(value))
    (grad,) = torch.autograd.grad(mine.log_prob(value).sum(), value)
    torch.testing.assert_close(grad, -(value - loc).detach() / scale**2)
    torch.testing.assert_close(mine.variance, theirs.variance)
    assert torch.equal(mine.mean, theirs.mean)
    many = mine.expand(torch.Size((2, 5)))
    assert many.log_prob(value).shape == (5,)
    assert many.sample((3,)).shape == (3, 2, 5, *shape)
    assert mine.sample().dtype == torch.float64
    assert mine.support.check(value).all()


def test_its_draws_have_its_moments():
    loc, scale = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = ElementwiseNormal(loc, scale).rsample((20_000,))
    assert ((draws.mean(0) - loc) / scale).abs().max() < 5 / 20_000**0.5
    assert (draws.std(0) / scale - 1).abs().max() < 5 / 40_000**0.5
