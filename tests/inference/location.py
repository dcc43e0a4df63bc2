"""A normal posterior in one dimension, of which is known what steps of a given size make."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from mtbkd.fitting import fit

ROWS, PRIOR_PRECISION, VALUE = 32, 32.0, 0.5
PRECISION = ROWS + PRIOR_PRECISION
MEAN = ROWS * VALUE / PRECISION


def location(x: Tensor, scale: Tensor | None = None) -> None:
    """Rows of one value: the gradient of any batch is that of all rows, unless the prior is scaled by N / n too."""
    theta = pyro.sample("theta", dist.Normal(0.0, PRIOR_PRECISION**-0.5))
    with pyro.plate("rows", len(x)), poutine.scale(scale=1.0 if scale is None else scale):
        pyro.sample("x", dist.Normal(theta, 1.0), obs=x)


def draws_of(config: Any, seed: int = 0) -> Tensor:
    """Draws `[C, S]`, less the exact mean."""
    posterior = fit(location, (torch.full((ROWS,), VALUE),), config, seed=seed, progress=False)
    return posterior.samples()["theta"].double() - MEAN


# Many chains that start elsewhere and forget it in the warm-up; draws far enough apart to be independent.
CHAINS = {
    "num_chains": 500,
    "warmup": 60,
    "draws": 30,
    "thin": 8,
    "precondition": "none",
    "batch_size": None,
    "warm_start": 0,
}

# Five standard errors of a variance of 500 x 30 draws, and as many for their not being quite independent.
TOLERANCE = 5 * (2 / (500 * 30)) ** 0.5 * 1.5


def step_size(stiffness: float) -> float:
    """The step for the mean over rows at which eps times the precision is `stiffness`."""
    return stiffness * ROWS / PRECISION


# Precisions of two independent coordinates.
PAIR = torch.tensor([16.0, 64.0])


def pair() -> None:
    """Two independent normals, without data."""
    pyro.sample("theta", dist.Normal(torch.zeros(2), PAIR.rsqrt()).to_event(1))
