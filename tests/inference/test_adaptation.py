"""The mass by draws and gradients, against normals whose standard deviations are known."""

import torch

from mtbkd.inference.adaptation import Moments, fisher_scale


def moments(rows: torch.Tensor) -> Moments:
    """Moments of `[S, C, D]`, one update an iteration."""
    found = Moments.start(rows[0])
    for row in rows:
        found = found.update(row)
    return found


def test_the_scale_of_independent_normals_is_exact_from_two_draws():
    deviation = torch.tensor([1e-3, 0.5, 20.0], dtype=torch.float64)
    centre = torch.tensor([[3.0, -1.0, 0.0], [-2.0, 5.0, 1.0]], dtype=torch.float64)  # two chains, two modes
    noise = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta = centre + deviation * noise
    grad = -(theta - centre) / deviation**2
    found = fisher_scale(moments(theta), moments(grad), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found, deviation, rtol=1e-9, atol=0)


def test_correlated_normals_get_a_scale_between_marginal_and_conditional():
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    theta = (
        torch.randn(4000, 1, 2, generator=generator, dtype=torch.float64)
        @ torch.linalg.cholesky(covariance).T
    )
    grad = -theta @ torch.linalg.inv(covariance)
    found = fisher_scale(moments(theta), moments(grad), torch.ones(2, dtype=torch.float64))
    # Marginal variance 1, that of the gradient 1 / (1 - .81): the geometric mean of 1 and sqrt(.19).
    torch.testing.assert_close(found, torch.full((2,), 0.19**0.25, dtype=torch.float64), rtol=0.03, atol=0)


def test_chains_that_did_not_move_keep_the_scale_they_had():
    still = moments(torch.ones(5, 2, 3))
    previous = torch.tensor([0.1, 1.0, 10.0])
    assert torch.equal(fisher_scale(still, still, previous), previous)


def test_the_variance_is_within_chains():
    theta = torch.tensor([[[0.0], [100.0]], [[2.0], [104.0]]])  # chains 0, 2 and 100, 104: variances 2 and 8
    assert moments(theta).variance().tolist() == [5.0]
