"""Densities of two or three dimensions that HMC's parts are tried on, and chains to begin with."""

import pyro
import pyro.distributions as dist
import torch

from mtbkd.density import Density
from mtbkd.inference import hamiltonian
from mtbkd.inference.hamiltonian import HMCState
from mtbkd.inference.metric import Metric


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


COVARIANCE = torch.tensor([[2.0, 0.6, 0.0], [0.6, 0.5, 0.1], [0.0, 0.1, 1.0]], dtype=torch.float64)


def gaussian(covariance: torch.Tensor = COVARIANCE) -> Density:
    def model() -> None:
        pyro.sample("theta", dist.MultivariateNormal(covariance.new_zeros(len(covariance)), covariance))

    return Density(model, (), dtype=torch.float64)


def quartic() -> Density:
    """Not a normal, so that the integrator errs at every order: -(x^4 / 4 + x^2 / 2) in each of two coordinates."""

    def model() -> None:
        x = pyro.sample("x", dist.Normal(torch.zeros(2, dtype=torch.float64), 1.0).to_event(1))
        pyro.factor("quartic", -x.pow(4).sum() / 4)

    return Density(model, (), dtype=torch.float64)


def starts(density: Density, chains: int = 64) -> tuple[HMCState, torch.Tensor]:
    theta = torch.randn(chains, density.dim, generator=generator(1), dtype=torch.float64)
    return hamiltonian.init(density, theta), torch.randn(
        theta.shape, generator=generator(2), dtype=torch.float64
    )


def diagonal(scale: torch.Tensor, chains: int = 1) -> Metric:
    return Metric.diagonal(scale.double(), chains)
