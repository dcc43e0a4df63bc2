"""Stochastic-gradient Hamiltonian Monte Carlo (Chen, Fox and Guestrin 2014, equation 15), preconditioned, cyclical
(Zhang et al. 2020).

    v <- (1 - a) v + h G g + sqrt(2 a h T G) xi;   theta <- theta + v,   xi ~ N(0, I)
    g = grad log N(theta) + (N/n) sum_{i in batch} grad(teacher_i + label_i)

SGD with momentum 1 - a whose noise belongs to its step; a = 1 is SGLD with eps = 2 h, and a below it moves in long runs
where SGLD takes a random walk. For a normal of precision p, all rows a step, the variance is T / (p (1 - h G p / (2 (2
- a)))) exactly; mini-batches add the variance of g to that of the noise, in the ratio h G Var(g) / (2 a T).

All chains run at once and take the same batches, as the density has one set of rows for all: each chain is a right
sampler, but the noise of batches is common to them, so that between chains it does not average out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import require_fraction, require_positive
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, where_to_begin
from mtbkd.inference.rows import Shuffle, take
from mtbkd.inference.stochastic_gradient import (
    Preconditioner,
    StochasticGradientSettings,
    begin_preconditioner,
    draw_noise,
    push,
    stepped,
    walk,
)
from mtbkd.progress import Progress


@dataclass(frozen=True)
class SGHMCConfig(StochasticGradientSettings):
    """As `StochasticGradientSettings` has it, step_size being h's; friction: a, one less momentum."""

    name: str = "sghmc"
    step_size: float = 0.02
    friction: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(**{"inference.friction": self.friction})
        require_fraction(**{"inference.friction": self.friction})


@dataclass(frozen=True)
class SGHMCState:
    """Where the chains are and how they move, `theta`, `velocity` `[C, D]`, and what the next step needs."""

    theta: Tensor
    velocity: Tensor
    preconditioner: Preconditioner | None
    shuffle: Shuffle
    step: int


def init(theta: Tensor, config: SGHMCConfig) -> SGHMCState:
    """Before the first step, at rest."""
    return SGHMCState(theta, torch.zeros_like(theta), begin_preconditioner(config, theta), Shuffle(), 0)


def update(
    state: SGHMCState,
    density: Density,
    config: SGHMCConfig,
    h: float,
    temperature: float,
    generator: torch.Generator,
) -> tuple[SGHMCState, Tensor]:
    """One step of all chains; and the log-density `[C]` of the batch before it."""
    batch, shuffle = take(state.shuffle, density, config.batch_size, generator)
    value, grad = density.value_and_grad(state.theta, batch)
    scale = stepped(state.preconditioner, grad, state.step < config.warmup)
    noise = draw_noise(state.theta, temperature, generator)
    spread = (2 * config.friction * h * temperature) ** 0.5
    velocity = push((1 - config.friction) * state.velocity, scale, grad, h, noise, spread)
    return SGHMCState(state.theta + velocity, velocity, scale, shuffle, state.step + 1), value


def sample(
    density: Density,
    config: SGHMCConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Walk from `start [C, D]`: `theta [C, S, D]`."""
    state = checkpoints.restore(SGHMCState, density.device)
    if state is None:
        state = init(where_to_begin(start, density, config.num_chains, generator), config)

    def step(state: SGHMCState, h: float, temperature: float) -> tuple[SGHMCState, Tensor]:
        return update(state, density, config, h, temperature, generator)

    return walk(state, step, density, config, progress, checkpoints)
