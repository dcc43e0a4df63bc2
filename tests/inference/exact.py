"""Posteriors known in closed form, and what each engine must say of them. A new engine adds one entry to `ENGINES`."""

import dataclasses
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from mtbkd.fitting import fit
from mtbkd.inference import (
    EnsembleConfig,
    HMCConfig,
    LaplaceConfig,
    MAPConfig,
    NUTSConfig,
    PyroSVIConfig,
    SGHMCConfig,
    SGLDConfig,
    SVIConfig,
)
from mtbkd.posterior import Posterior

NOISE, PRIOR = 0.5, 2.0


@dataclass(frozen=True)
class Hard:
    """A posterior of test_hard_posteriors.py that an engine claims.

    changes: of the engine's configuration; draws: effective independent draws that it gives at least; slow: a run of
    many seconds
    """

    changes: dict[str, Any] = field(default_factory=dict)
    draws: float = float("inf")
    slow: bool = False
    says: str = "posterior"


@dataclass(frozen=True)
class Engine:
    """An engine in a setting small enough to be run often.

    says: 'mode', 'mean_field' (the best normal with independent coordinates) or 'posterior'
    draws: effective independent draws that it gives at least; small: a run of seconds, for what does not need accuracy
    hard: the harder posteriors that it claims too
    """

    config: Any
    says: str
    draws: float = float("inf")
    small: dict[str, Any] = field(default_factory=dict)
    hard: dict[str, Hard] = field(default_factory=dict)

    @property
    def tiny(self) -> Any:
        return replace(self.config, **self.small)

    @property
    def resumed(self) -> Any:
        """Long enough for several checkpoints, with a warm start where the engine has one."""
        steps = {"steps": 60, "warmup": 40, "draws": 40, "warm_start": 30}
        fields = {f.name for f in dataclasses.fields(self.config)}
        return replace(self.tiny, **{name: value for name, value in steps.items() if name in fields})


SVI = SVIConfig(steps=2500, learning_rate=0.02, draws=4000, warm_start=0, init_scale=0.1)
FEW = {"steps": 5, "draws": 6}
# Many chains, as a step of a stochastic-gradient sampler goes a short way; all rows, so that there is a closed form.
MANY: dict[str, Any] = {"num_chains": 128, "batch_size": None, "warm_start": 0}

ENGINES = {
    "map": Engine(MAPConfig(steps=1500, learning_rate=0.05), "mode", small={"steps": 5}),
    "ensemble": Engine(
        EnsembleConfig(num_members=3, steps=1500, learning_rate=0.05),
        "mode",
        small={"steps": 5, "num_members": 1, "learning_rate": 0.001},
    ),
    "svi": Engine(SVI, "mean_field", draws=1500, small=FEW),
    "svi low_rank": Engine(
        replace(SVI, guide="low_rank", rank=4, learning_rate=0.03), "posterior", draws=1000, small=FEW
    ),
    "svi full": Engine(replace(SVI, guide="full"), "posterior", draws=1000, small=FEW),
    "svi flow": Engine(replace(SVI, guide="flow"), "posterior", draws=1000, small=FEW),
    "hmc": Engine(
        HMCConfig(num_chains=16, warmup=100, draws=400, warm_start=0, dtype="float64"),
        "posterior",
        draws=3000,
        small={"warmup": 20, "draws": 6, "num_chains": 2},
        hard={
            "correlated": Hard({"warmup": 200, "draws": 300}, draws=2000),
            # Coarser steps leave a chain in the neck for hundreds of draws now and then, which 2,000 cannot average.
            "funnel": Hard({"warmup": 200, "draws": 1500, "accept": 0.95}, draws=2000),
        },
    ),
    "sgld": Engine(
        SGLDConfig(
            warmup=600, draws=100, thin=20, step_size=0.05, schedule="polynomial", decay_steps=100, **MANY
        ),
        "posterior",
        draws=1000,
        small={"warmup": 20, "draws": 6, "thin": 2, "num_chains": 2, "schedule": "constant"},
    ),
    "sghmc": Engine(
        SGHMCConfig(warmup=500, draws=100, thin=15, step_size=0.01, friction=0.3, **MANY),
        "posterior",
        draws=1000,
        small={"warmup": 20, "draws": 6, "thin": 2, "num_chains": 2},
    ),
    "laplace": Engine(
        LaplaceConfig(warm_start_rate=0.05, draws=4000), "posterior", draws=4000, small={"draws": 6}
    ),
    "laplace diagonal": Engine(
        LaplaceConfig(structure="diagonal", warm_start_rate=0.05, draws=4000),
        "mean_field",
        draws=4000,
        small={"draws": 6},
    ),
    "nuts": Engine(
        NUTSConfig(num_chains=1, warmup=80, draws=300, max_tree_depth=5, warm_start=0),
        "posterior",
        draws=120,
        small={"warmup": 5, "draws": 6},
        hard={
            "correlated": Hard({"warmup": 200, "draws": 300, "max_tree_depth": 8}, draws=150, slow=True),
            "funnel": Hard({"warmup": 150, "draws": 300, "max_tree_depth": 6}, draws=60, slow=True),
        },
    ),
    "pyro_svi": Engine(
        PyroSVIConfig(steps=1200, learning_rate=0.03, draws=4000, warm_start=0, init_scale=0.1),
        "mean_field",
        draws=1000,
        small={"steps": 5, "draws": 6},
    ),
}


# ---- linear regression with known noise: the posterior is a normal ---------------------------------------------


def linear(design: Tensor, y: Tensor, scale: Tensor | None = None) -> None:
    """y = design (slope, bias) + noise: correlated columns, four coefficients in two sites."""
    slope = pyro.sample("slope", dist.Normal(design.new_zeros(3), PRIOR).to_event(1))
    bias = pyro.sample("bias", dist.Normal(design.new_zeros(()), PRIOR))
    with pyro.plate("rows", len(y)), poutine.scale(scale=1.0 if scale is None else scale):
        pyro.sample("y", dist.Normal(design @ slope + bias, NOISE), obs=y)


def linear_data(n: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[1.0, 0.8, -0.3], [0.0, 0.6, 0.3], [0.0, 0.0, 0.5]])
    design = torch.randn(n, 3, generator=generator) @ mixing
    y = design @ torch.tensor([1.0, -2.0, 0.5]) + 0.7 + NOISE * torch.randn(n, generator=generator)
    return design, y


def linear_posterior(design: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `[4]` and precision `[4, 4]` in closed form."""
    a = torch.cat([design, torch.ones(len(y), 1)], 1).double()
    precision = a.T @ a / NOISE**2 + torch.eye(4, dtype=torch.float64) / PRIOR**2
    return torch.linalg.solve(precision, a.T @ y.double() / NOISE**2), precision


@cache
def linear_fit(name: str) -> Posterior:
    """An engine's posterior of the linear regression, fitted once for all tests."""
    return fit(linear, linear_data(), ENGINES[name].config, seed=1, progress=False)


def coefficients(posterior: Posterior) -> Tensor:
    """Draws `[C, S, 4]`."""
    values = posterior.samples()
    return torch.cat([values["slope"], values["bias"][..., None]], -1).double()


def check_normal(draws: Tensor, mean: Tensor, precision: Tensor, engine: Engine | Hard) -> None:
    """Draws `[C, S, D]` against N(mean, precision^-1), as far as this engine claims it.

    Draws are whitened: if right, they have mean 0 and covariance the unit matrix, with Monte Carlo standard errors
    1 / sqrt(n) and sqrt((1 + [i = j]) / n); five of them are allowed.
    """
    flat = draws.flatten(0, 1)
    if engine.says == "mode":
        torch.testing.assert_close(flat, mean.expand_as(flat), rtol=1e-3, atol=1e-3)
        return
    if engine.says == "mean_field":
        # min KL(q || p) over independent normals: the exact mean, and the conditional deviations.
        white = (flat - mean) * precision.diagonal().sqrt()
    else:
        white = (flat - mean) @ torch.linalg.cholesky(precision)
    error = engine.draws**-0.5
    assert white.mean(0).abs().max() < 5 * error, white.mean(0)
    off = torch.cov(white.T) - torch.eye(len(mean), dtype=torch.float64)
    assert off.abs().max() < 5 * 2**0.5 * error, off


# ---- a precision with its conjugate prior: a site that is positive ----------------------------------------------


SHAPE, RATE = 3.0, 2.0


def known_mean(x: Tensor) -> None:
    precision = pyro.sample("precision", dist.Gamma(SHAPE, RATE))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(0.0, precision.rsqrt()), obs=x)


def known_mean_data() -> Tensor:
    return 0.6 * torch.randn(10, generator=torch.Generator().manual_seed(1))


def gamma_posterior(x: Tensor) -> tuple[float, float]:
    """Shape and rate of the posterior Gamma."""
    return SHAPE + len(x) / 2, RATE + x.double().square().sum().item() / 2
