"""Posteriors that are hard in one way each, known in closed form, for the engines that claim them (`Engine.hard`)."""

from dataclasses import replace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from exact import ENGINES, Hard, check_normal
from torch import Tensor

from mtbkd.fitting import fit
from mtbkd.posterior import Posterior


def claim(posterior: str) -> pytest.MarkDecorator:
    """Runs a test for each engine that claims the posterior."""
    return pytest.mark.parametrize(
        ("name", "hard"),
        [
            pytest.param(
                name, engine.hard[posterior], id=name, marks=[pytest.mark.slow] * engine.hard[posterior].slow
            )
            for name, engine in ENGINES.items()
            if posterior in engine.hard
        ],
    )


def fitted(name: str, hard: Hard, model: Any, *data: Tensor) -> Posterior:
    return fit(model, data, replace(ENGINES[name].config, **hard.changes), seed=1, progress=False)


# ---- correlated, in fifty dimensions ------------------------------------------------------------------------------


def correlated(centre: Tensor, triangle: Tensor) -> None:
    pyro.sample("theta", dist.MultivariateNormal(centre, scale_tril=triangle))


@claim("correlated")
def test_fifty_correlated_normals_are_exact(name: str, hard: Hard) -> None:
    """Correlations .9^|i - j|, standard deviations .1 to 10. Once those are known the longest direction is still 17
    times the shortest, all coordinates alike: no diagonal mass helps."""
    generator = torch.Generator().manual_seed(0)
    size = 50
    deviation = torch.logspace(-1, 1, size, dtype=torch.float64)[torch.randperm(size, generator=generator)]
    centre = deviation * torch.randn(size, generator=generator, dtype=torch.float64)
    index = torch.arange(size, dtype=torch.float64)
    covariance = 0.9 ** (index[:, None] - index).abs() * torch.outer(deviation, deviation)
    draws = fitted(name, hard, correlated, centre, torch.linalg.cholesky(covariance)).samples()["theta"]
    check_normal(draws.double(), centre, torch.linalg.inv(covariance), hard)


# ---- a funnel -----------------------------------------------------------------------------------------------------


def funnel(zeros: Tensor) -> None:
    """Neal's (2003, section 8) of scale 1.2 in place of 3: one step has to serve widths that differ tenfold."""
    neck = pyro.sample("neck", dist.Normal(zeros.sum(), 1.2))
    pyro.sample("x", dist.Normal(zeros, (neck / 2).exp()).to_event(1))


@claim("funnel")
def test_a_funnel_is_seen_down_its_neck(name: str, hard: Hard) -> None:
    """Quantiles of the neck, whose marginal is the normal: sampled too short or too coarse, its lower end is missed."""
    neck = fitted(name, hard, funnel, torch.zeros(4)).samples()["neck"].double().flatten()
    exact = torch.distributions.Normal(0.0, 1.2)
    for share in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98):
        at = exact.icdf(torch.tensor(share, dtype=torch.float64))
        error = (share * (1 - share) / hard.draws) ** 0.5
        assert (neck <= at).double().mean().item() == pytest.approx(share, abs=5 * error), share
