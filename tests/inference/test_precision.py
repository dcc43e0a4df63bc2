"""Every kind of precision against torch's multivariate normal."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from mtbkd.inference.precision import DiagonalPrecision, FullPrecision, LowRankPrecision, log_normal

D, R = 6, 2


def both(kind: str):
    """A precision and the same as a matrix `[D, D]`."""
    generator = torch.Generator().manual_seed(0)
    diagonal = 0.5 + torch.rand(D, generator=generator, dtype=torch.float64)
    factor = torch.randn(D, R, generator=generator, dtype=torch.float64)
    dense = diagonal.diag() + factor @ factor.T
    if kind == "diagonal":
        return DiagonalPrecision(diagonal), diagonal.diag()
    if kind == "full":
        return FullPrecision(torch.linalg.cholesky(dense)), dense
    return LowRankPrecision.of(diagonal, factor), dense


@pytest.mark.parametrize("kind", ["diagonal", "full", "low_rank"])
def test_deviations_have_the_covariance_and_the_density(kind):
    precision, dense = both(kind)
    root = precision.deviations(torch.eye(D, dtype=torch.float64))  # A', row by row
    torch.testing.assert_close(root.T @ root, torch.linalg.inv(dense))
    torch.testing.assert_close(precision.log_det, torch.logdet(dense))
    noise = torch.randn(5, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    normal = MultivariateNormal(torch.zeros(D, dtype=torch.float64), precision_matrix=dense)
    expected = normal.log_prob(precision.deviations(noise))
    torch.testing.assert_close(log_normal(precision, noise), expected)
