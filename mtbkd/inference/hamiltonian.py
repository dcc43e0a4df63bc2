"""One trajectory of every chain: what HMC is, whatever adapts it.

    v ~ N(0, S^2);  leapfrog in (theta, v);  accept with probability min(1, exp(H - H')),   H = |S^-1 v|^2 / 2 - log p

The metric has S and the scale in whose units velocities are (metric.py).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.inference.metric import Metric

FINDING = 8  # leapfrogs of the trajectories that look for a first step


@dataclass(frozen=True)
class HMCState:
    """Where the chains are: `theta`, `grad` `[C, D]`, `value [C]`."""

    theta: Tensor
    value: Tensor
    grad: Tensor


@dataclass(frozen=True)
class Transition:
    """One iteration of all chains, each `[C]`: acceptance probability, energy in nats, whether it diverged; its
    leapfrogs; where the trajectories ended, accepted or not, `end` and `velocity` `[C, D]`, and some of the gradients
    that they met, each `[C, D]`."""

    state: HMCState
    accept: Tensor
    energy: Tensor
    diverged: Tensor
    leapfrogs: int
    end: Tensor
    velocity: Tensor
    met: tuple[Tensor, ...]


def init(density: Density, theta: Tensor) -> HMCState:
    """Chains at `theta [C, D]`; raises `InputError` where the density is not finite there."""
    value, grad = density.value_and_grad(theta)
    bad = ~(torch.isfinite(value) & torch.isfinite(grad).all(-1))
    if bool(bad.any()):
        chain = int(bad.nonzero()[0])
        raise InputError(
            f"chain {chain} starts where the log-density or its gradient is not finite; give another start"
        )
    return HMCState(theta, value, grad)


def update(
    state: HMCState,
    density: Density,
    step_size: float,
    metric: Metric,
    leapfrogs: int,
    generator: torch.Generator,
    heard: int = 0,
) -> Transition:
    """One trajectory of every chain; at most `heard` of its gradients are kept."""
    like = state.theta
    noise = torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)
    velocity = metric.velocity(noise)
    energy = metric.kinetic(velocity) - state.value.double()
    end, velocity, met = leapfrog(state, velocity, density, step_size, metric, leapfrogs, heard)
    proposed = metric.kinetic(velocity) - end.value.double()
    error = torch.nan_to_num(proposed - energy, nan=math.inf)
    accept = torch.exp(-error.clamp(min=0.0))
    uniform = torch.rand(len(accept), generator=generator, dtype=torch.float64).to(accept.device)
    take = uniform < accept
    moved = HMCState(
        torch.where(take[:, None], end.theta, state.theta),
        torch.where(take, end.value, state.value),
        torch.where(take[:, None], end.grad, state.grad),
    )
    energy = torch.where(take, proposed, energy)
    return Transition(moved, accept, energy, error > 1000, leapfrogs, end.theta, velocity, met)


def leapfrog(
    state: HMCState,
    velocity: Tensor,
    density: Density,
    step_size: float,
    metric: Metric,
    steps: int,
    heard: int = 0,
) -> tuple[HMCState, Tensor, tuple[Tensor, ...]]:
    """Half a kick, `steps` drifts with whole kicks between them, half a kick; and at most `heard` of the gradients
    met on the way, evenly. Reversible: with the velocity `[C, D]` turned round it comes back."""
    theta, value, grad = state.theta, state.value, state.grad
    drift, met = step_size * metric.scale, []
    velocity = velocity.add(metric.force(grad), alpha=0.5 * step_size)
    for i in range(1, steps + 1):
        theta = torch.addcmul(theta, drift, velocity)
        value, grad = density.value_and_grad(theta)
        velocity = velocity.add(metric.force(grad), alpha=step_size if i < steps else 0.5 * step_size)
        if heard and i % math.ceil(steps / heard) == 0:
            met.append(grad)
    return HMCState(theta, value, grad), velocity, tuple(met)


def find_step_size(state: HMCState, density: Density, metric: Metric, generator: torch.Generator) -> float:
    """A first step whose short trajectory is accepted about half the time; a single leapfrog shows no instability."""
    step = 0.5 * density.dim**-0.25
    direction = 0.0
    for _ in range(40):
        accept = float(update(state, density, step, metric, FINDING, generator).accept.median())
        now = 1.0 if accept > 0.5 else -1.0
        if direction and now != direction:
            break
        direction = now
        step *= 2.0**now
    return step
