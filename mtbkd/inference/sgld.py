"""Stochastic-gradient Langevin dynamics (Welling and Teh 2011), preconditioned (Li et al. 2016), cyclical (Zhang et al.
2020).

    theta <- theta + eps/2 G g + sqrt(eps T G) xi,   xi ~ N(0, I)
    g = grad log N(theta) + (N/n) sum_{i in batch} grad(teacher_i + label_i)

The target is p^(1/T) as eps goes to 0. For a normal of precision p, all rows a step, the variance is T / (p (1 - eps G
p/4)) exactly; mini-batches add the variance of g to that of the noise, in the ratio eps G Var(g) / (4 T).

All chains run at once and take the same batches, as the density has one set of rows for all: each chain is a right
sampler, but the noise of batches is common to them, so that between chains it does not average out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.density import Density
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
class SGLDConfig(StochasticGradientSettings):
    """As `StochasticGradientSettings` has it."""

    name: str = "sgld"


@dataclass(frozen=True)
class SGLDState:
    """Where the chains are, `theta [C, D]`, and what the next step needs."""

    theta: Tensor
    preconditioner: Preconditioner | None
    shuffle: Shuffle
    step: int


def init(theta: Tensor, config: SGLDConfig) -> SGLDState:
    """Before the first step."""
    return SGLDState(theta, begin_preconditioner(config, theta), Shuffle(), 0)


def update(
    state: SGLDState,
    density: Density,
    config: SGLDConfig,
    eps: float,
    temperature: float,
    generator: torch.Generator,
) -> tuple[SGLDState, Tensor]:
    """One step of all chains; and the log-density `[C]` of the batch before it."""
    batch, shuffle = take(state.shuffle, density, config.batch_size, generator)
    value, grad = density.value_and_grad(state.theta, batch)
    scale = stepped(state.preconditioner, grad, state.step < config.warmup)
    noise = draw_noise(state.theta, temperature, generator)
    theta = push(state.theta, scale, grad, eps / 2, noise, (eps * temperature) ** 0.5)
    return SGLDState(theta, scale, shuffle, state.step + 1), value


def sample(
    density: Density,
    config: SGLDConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Walk from `start [C, D]`: `theta [C, S, D]`."""
    state = checkpoints.restore(SGLDState, density.device)
    if state is None:
        state = init(where_to_begin(start, density, config.num_chains, generator), config)

    def step(state: SGLDState, eps: float, temperature: float) -> tuple[SGLDState, Tensor]:
        return update(state, density, config, eps, temperature, generator)

    return walk(state, step, density, config, progress, checkpoints)
