"""Coverage where it is known exactly: exchangeable draws, and the true posterior of a conjugate model."""

import pytest
import torch
from torch.distributions import Beta, Binomial, Dirichlet, Multinomial

from experiments.listening.credible import MASSES, coverage
from mtbkd.errors import InputError


def test_by_hand():
    # Draws 0, .25, .5, .75, 1 of class 0: the 50 % interval is [.25, .75], the 80 % one [.1, .9].
    first = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    probs = torch.stack([first, 1 - first], -1)[:, None].expand(-1, 3, -1)
    truth = torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.95, 0.05]])
    found = coverage(probs, truth, (0.5, 0.8))
    assert found == {0.5: pytest.approx(1 / 3), 0.8: pytest.approx(2 / 3)}


@pytest.mark.parametrize("draws", [9, 99])
def test_exchangeable_draws_have_the_finite_sample_share(draws):
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(draws + 1, 50_000, 1, generator=generator)
    found = coverage(uniform[1:], uniform[0])
    for mass in MASSES:
        assert found[mass] == pytest.approx(mass * (draws - 1) / (draws + 1), abs=0.007)  # 3 standard errors


def test_the_posterior_of_a_conjugate_model_is_nominal():
    """p ~ Beta(2, 3), y ~ Binomial(7, p): draws of Beta(2 + y, 10 - y) are the posterior, so coverage is nominal."""
    torch.manual_seed(1)
    p = Beta(2.0, 3.0).sample((4000,))
    y = Binomial(7, p).sample()
    drawn = Beta(2 + y, 10 - y).sample((1000,))
    found = coverage(torch.stack([drawn, 1 - drawn], -1), torch.stack([p, 1 - p], -1))
    for mass in MASSES:
        assert found[mass] == pytest.approx(mass, abs=3 * (mass * (1 - mass) / 4000) ** 0.5 + 0.002)


def test_a_posterior_that_counts_its_data_twice_is_too_narrow():
    torch.manual_seed(2)
    p = Dirichlet(torch.ones(3)).sample((3000,))
    counts = torch.stack([Multinomial(10, one).sample() for one in p])
    right = coverage(Dirichlet(1 + counts).sample((500,)), p)
    twice = coverage(Dirichlet(1 + 2 * counts).sample((500,)), p)
    assert right[0.8] == pytest.approx(0.8, abs=0.02)
    assert twice[0.8] < 0.7


def test_shapes_are_checked():
    with pytest.raises(InputError, match=r"draws of shape \[5, 2, 3\] and truth \[2, 2\]"):
        coverage(torch.rand(5, 2, 3), torch.rand(2, 2))
