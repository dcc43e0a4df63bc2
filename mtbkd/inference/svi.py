"""Stochastic variational inference with Pyro's Gaussian guides on the traced density.

    maximise  E_q[log p(theta, data)] + H[q],   q = N(loc, diag scale^2)  or  N(loc, W W' + diag scale^2)

The guide is Pyro's own (AutoDiagonalNormal, AutoLowRankMultivariateNormal); its draws are reparametrised, the
density's gradient comes from the graph, and the entropy is exact. Loss per datum, so that learning rates survive a
change of N.
"""

from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import (
    AutoContinuous,
    AutoDiagonalNormal,
    AutoLowRankMultivariateNormal,
    init_to_value,
)
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import require_at_least, require_choice, require_positive
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, check_finite_step, check_start, log_density_of
from mtbkd.inference.map import SCHEDULES, rate, set_rate
from mtbkd.inference.rows import Shuffle, take
from mtbkd.progress import Progress

GUIDES = ("diagonal", "low_rank")


@dataclass(frozen=True)
class SVIConfig:
    """guide: 'diagonal' or 'low_rank' (with `rank`); particles: draws a step; init_scale: the guide's first standard
    deviation; warm_start: MAP steps before; draws: posterior draws kept."""

    name: str = "svi"
    guide: str = "diagonal"
    rank: int = 10
    steps: int = 4000
    learning_rate: float = 0.01
    schedule: str = "cosine"
    batch_size: int | None = 256
    particles: int = 1
    init_scale: float = 0.01
    warm_start: int = 1500
    warm_start_rate: float = 0.01
    draws: int = 200

    def __post_init__(self) -> None:
        require_choice("inference.guide", self.guide, GUIDES)
        require_choice("inference.schedule", self.schedule, SCHEDULES)
        numbers = ("rank", "steps", "learning_rate", "batch_size", "particles", "init_scale", "draws")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in (*numbers, "warm_start_rate")})
        require_at_least(0, **{"inference.warm_start": self.warm_start})

    @property
    def num_chains(self) -> int:
        """One: a variational posterior has no chains."""
        return 1

    @property
    def evaluations(self) -> int:
        """Gradients of the run, one a step."""
        return self.steps


def make_guide(config: SVIConfig, start: Tensor) -> AutoContinuous:
    """Pyro's guide over the flat vector, centred at `start [D]`."""

    def flat() -> None:
        pyro.sample("theta", dist.ImproperUniform(dist.constraints.real_vector, (), (len(start),)))

    init = init_to_value(values={"theta": start})
    guide: AutoContinuous
    if config.guide == "diagonal":
        guide = AutoDiagonalNormal(flat, init_loc_fn=init, init_scale=config.init_scale)
    else:
        rank = min(config.rank, len(start))
        guide = AutoLowRankMultivariateNormal(flat, init_loc_fn=init, init_scale=config.init_scale, rank=rank)
    # A guide's parameters carry the same global names each time; an earlier fit's must not be taken for this one's.
    with pyro.get_param_store().scope():
        guide()
    return guide.to(start.device, start.dtype)


def sample(
    density: Density,
    config: SVIConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Fit the guide from `start [1, D]` and draw from it: `theta [1, S, D]`."""
    check_start(start, density, 1)
    if start is None:
        start = 0.1 * torch.randn(1, density.dim, generator=generator)
    with torch.random.fork_rng():
        # Pyro's guides draw from the global generator; it is seeded from the run's and put back afterwards.
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        guide = make_guide(config, start[0].to(density.device, density.dtype))
        elbos = climb(density, config, guide, generator, progress)
        with torch.no_grad():
            posterior = guide.get_posterior()
            theta = posterior.rsample((config.draws,))[None]
    deviation = posterior.stddev.detach()
    info = {
        "posterior_sd_median": float(deviation.median()),
        "elbo_per_datum": float(elbos[-len(elbos) // 10 :].mean()),
    }
    return Draws(theta, log_density_of(density, theta), trace={"elbo": elbos}, info=info)


def climb(
    density: Density, config: SVIConfig, guide: AutoContinuous, generator: torch.Generator, progress: Progress
) -> Tensor:
    """Adam on the negative ELBO a datum; returns the ELBO a datum of each step, `[steps]`."""
    optimizer = torch.optim.Adam(guide.parameters(), lr=config.learning_rate)
    shuffle = Shuffle()
    elbos = torch.empty(config.steps)
    with progress.stage("SVI", config.steps) as advance:
        for step in range(config.steps):
            posterior = guide.get_posterior()
            theta = posterior.rsample((config.particles,))
            batch, shuffle = take(shuffle, density, config.batch_size, generator)
            value, grad = density.value_and_grad(theta.detach(), batch)
            check_finite_step("svi", step, value, config.learning_rate)
            entropy = posterior.entropy()
            # grad . theta has the gradient of E_q[log p] by the reparametrised draws, without another pass.
            loss = -((grad * theta).sum() / config.particles + entropy) / density.num_rows
            optimizer.zero_grad()
            loss.backward()
            set_rate(optimizer, config.learning_rate * rate(config.schedule, step, config.steps))
            optimizer.step()
            elbos[step] = (value.mean() + entropy.detach()) / density.num_rows
            advance(elbo=elbos[step])
    return elbos
