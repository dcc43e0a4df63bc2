"""Coverage where it is known exactly: exchangeable draws, and the true posterior of a conjugate model."""

import pytest
import torch
from torch.distributions import Beta, Binomial, Dirichlet, Multinomial

from mtbkd.errors import InputError
from mtbkd.evaluation.interval_coverage import MASSES, interval_coverage
from mtbkd.prediction import Prediction


def test_by_hand():
    # Draws 0, .25, .5, .75, 1 of class 0: the 50 % interval is [.25, .75], the 80 % one [.1, .9].
    first = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    probs = torch.stack([first, 1 - first], -1)[:, None].expand(-1, 3, -1)
    truth = torch.tensor([[0.5, 0.5], [0.2, 0.8], [0.95, 0.05]])
    found = interval_coverage(Prediction(probs), truth, (0.5, 0.8))
    assert [one.mass for one in found] == [0.5, 0.8]
    assert [one.coverage for one in found] == pytest.approx([1 / 3, 2 / 3])
    assert [one.width for one in found] == pytest.approx([0.5, 0.8])


def test_one_draw_has_intervals_without_width():
    probs = torch.tensor([[0.3, 0.7], [0.5, 0.5]])
    (found,) = interval_coverage(probs[None], torch.tensor([[0.3, 0.7], [0.4, 0.6]]), (0.9,))
    assert (found.coverage, found.width) == (0.5, 0)


def coverage(probs, truth):
    return {one.mass: one.coverage for one in interval_coverage(probs, truth)}


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
        interval_coverage(torch.rand(5, 2, 3), torch.rand(2, 2))
    with pytest.raises(InputError, match="mass is 1"):
        interval_coverage(torch.rand(5, 2, 3), torch.rand(2, 3), (1,))
