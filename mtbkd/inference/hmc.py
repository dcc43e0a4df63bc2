"""Hamiltonian Monte Carlo, all chains as one batch.

    v ~ N(0, M);  leapfrog with step eps for T / eps steps;  accept with probability min(1, exp(H - H'))

Warm-up adapts the step by dual averaging to a target acceptance (Hoffman and Gelman 2014; the harmonic mean over
chains, so that one stuck chain is heard) and the diagonal mass by the variances of draws and gradients within chains
in growing windows: chains that start at different MAPs sit in separate modes, whose pooled variance would be far too
large. Trajectories are jittered by a Halton sequence shared by all chains, so that every chain takes the same number
of steps.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.inference.adaptation import DualAveraging, Moments, fisher_scale, halton, mass_windows
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, check_start
from mtbkd.progress import Progress


@dataclass(frozen=True)
class HMCConfig:
    """warmup, draws: iterations a chain; trajectory: length T in standard deviations of the posterior (pi / 2 is best
    for a Gaussian); max_leapfrogs: at most so many steps a trajectory; accept: target; warm_start: MAP steps before,
    one start a chain; dtype: of the chains."""

    name: str = "hmc"
    num_chains: int = 8
    warmup: int = 300
    draws: int = 300
    trajectory: float = 1.5
    max_leapfrogs: int = 64
    accept: float = 0.8
    warm_start: int = 1500
    warm_start_rate: float = 0.01
    thin: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        numbers = ("num_chains", "draws", "trajectory", "max_leapfrogs", "thin")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in (*numbers, "warm_start_rate")})
        require_at_least(0, **{"inference.warm_start": self.warm_start})
        require_choice("inference.dtype", self.dtype, ("float32", "float64"))
        if self.warmup < 20:
            raise InputError(
                f"inference.warmup is {self.warmup}; at least 20 iterations are needed to adapt the step"
            )
        if not 0 < self.accept < 1:
            raise InputError(f"inference.accept is {self.accept}; it must lie between 0 and 1")

    @property
    def evaluations(self) -> int:
        """Gradients of the run, all chains at once, guessing half of `max_leapfrogs` an iteration."""
        return (self.warmup + self.draws * self.thin) * self.max_leapfrogs // 2


@dataclass(frozen=True)
class HMCState:
    """Where the chains are: `theta`, `grad` `[C, D]`, `value [C]`."""

    theta: Tensor
    value: Tensor
    grad: Tensor


@dataclass(frozen=True)
class Transition:
    """One iteration of all chains, each `[C]`: acceptance probability, energy, whether it diverged; and its
    leapfrogs."""

    state: HMCState
    accept: Tensor
    energy: Tensor
    diverged: Tensor
    leapfrogs: int


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
    scale: Tensor,
    leapfrogs: int,
    generator: torch.Generator,
) -> Transition:
    """One trajectory of every chain; `scale [D]` is the posterior's standard deviation (mass = 1 / scale^2)."""
    velocity = draw_normal(state.theta, generator)
    kinetic = 0.5 * velocity.double().square().sum(-1)
    energy = kinetic - state.value.double()
    end, velocity = leapfrog(state, velocity, density, step_size * scale, leapfrogs)
    proposed = 0.5 * velocity.double().square().sum(-1) - end.value.double()
    error = torch.nan_to_num(proposed - energy, nan=math.inf)
    accept = torch.exp(-error.clamp(min=0.0))
    uniform = torch.rand(len(accept), generator=generator, dtype=torch.float64).to(accept.device)
    take = uniform < accept
    moved = HMCState(
        torch.where(take[:, None], end.theta, state.theta),
        torch.where(take, end.value, state.value),
        torch.where(take[:, None], end.grad, state.grad),
    )
    return Transition(moved, accept, torch.where(take, proposed, energy), error > 1000, leapfrogs)


def leapfrog(
    state: HMCState, velocity: Tensor, density: Density, eps: Tensor, steps: int
) -> tuple[HMCState, Tensor]:
    """Half a kick, `steps` drifts with whole kicks between them, half a kick; `velocity [C, D]` in units of the scale
    that `eps [D]` contains. Reversible: with the velocity turned round it comes back."""
    theta, value, grad = state.theta, state.value, state.grad
    velocity = velocity + 0.5 * eps * grad
    for i in range(steps):
        theta = theta + eps * velocity
        value, grad = density.value_and_grad(theta)
        velocity = velocity + (eps if i < steps - 1 else 0.5 * eps) * grad
    return HMCState(theta, value, grad), velocity


def draw_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normals of the shape, dtype and device of `like`, from the run's generator."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)


def leapfrogs_of(config: HMCConfig, step_size: float, iteration: int) -> int:
    """Steps of this iteration's trajectory, jittered between 0.2 and 1.8 of its mean length."""
    length = config.trajectory * (0.2 + 1.6 * halton(iteration))
    return max(1, min(config.max_leapfrogs, math.ceil(length / step_size)))


def find_step_size(state: HMCState, density: Density, scale: Tensor, generator: torch.Generator) -> float:
    """A first step whose single leapfrog is accepted about half the time."""
    step = 0.5 * density.dim**-0.25
    direction = 0.0
    for _ in range(40):
        accept = float(update(state, density, step, scale, 1, generator).accept.median())
        now = 1.0 if accept > 0.5 else -1.0
        if direction and now != direction:
            break
        direction = now
        step *= 2.0**now
    return step


def sample(
    density: Density,
    config: HMCConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Adapt, then draw: `theta [C, S, D]` with acceptance, energy, divergences and leapfrogs a draw."""
    check_start(start, density, config.num_chains)
    if start is None:
        start = 0.1 * torch.randn(config.num_chains, density.dim, generator=generator)
    state = init(density, start.to(density.device, density.dtype))
    scale = torch.ones(density.dim, device=density.device, dtype=density.dtype)
    windows = mass_windows(config.warmup)
    averaging = DualAveraging(find_step_size(state, density, scale, generator), config.accept)
    visited = Moments.start(state.theta), Moments.start(state.theta)
    evaluations = 0
    with progress.stage("HMC warm-up", config.warmup) as advance:
        for iteration in range(config.warmup):
            steps = leapfrogs_of(config, averaging.step, iteration)
            transition = update(state, density, averaging.step, scale, steps, generator)
            state = transition.state
            evaluations += steps
            averaging = averaging.update(harmonic_mean(transition.accept))
            if windows.first <= iteration < windows.last:
                visited = visited[0].update(state.theta), visited[1].update(state.grad)
            if iteration + 1 in windows.ends:
                scale = fisher_scale(*visited, scale)
                visited = Moments.start(state.theta), Moments.start(state.theta)
                averaging = DualAveraging(find_step_size(state, density, scale, generator), config.accept)
            advance(step=averaging.step, accept=transition.accept.mean(), leapfrogs=steps)
    draws = collect(density, config, state, averaging.average, scale, generator, progress)
    info = {"step_size": averaging.average, "warmup_leapfrogs": float(evaluations)}
    return replace(draws, info=info | draws.info)


def collect(
    density: Density,
    config: HMCConfig,
    state: HMCState,
    step_size: float,
    scale: Tensor,
    generator: torch.Generator,
    progress: Progress,
) -> Draws:
    """Draws with everything adapted held fixed."""
    shape = (config.num_chains, config.draws)
    theta = torch.empty(*shape, density.dim, dtype=density.dtype)
    value = torch.empty(shape, dtype=density.dtype)
    stats = {name: torch.empty(shape) for name in ("accept", "energy", "diverging", "leapfrogs")}
    with progress.stage("HMC", config.draws) as advance:
        for s in range(config.draws):
            diverged = torch.zeros(config.num_chains, dtype=torch.bool, device=density.device)
            for t in range(config.thin):
                steps = leapfrogs_of(config, step_size, config.warmup + s * config.thin + t)
                transition = update(state, density, step_size, scale, steps, generator)
                state = transition.state
                diverged = diverged | transition.diverged
            theta[:, s], value[:, s] = state.theta.cpu(), state.value.cpu()
            row = {"accept": transition.accept, "energy": transition.energy, "diverging": diverged}
            for name, column in row.items():
                stats[name][:, s] = column.cpu().float()
            stats["leapfrogs"][:, s] = steps
            advance(accept=transition.accept.mean(), divergences=stats["diverging"][:, : s + 1].sum())
    stats["diverging"] = stats["diverging"].bool()
    return Draws(theta, value, stats, info={"leapfrogs_median": float(stats["leapfrogs"].median())})


def harmonic_mean(accept: Tensor) -> float:
    """Over chains, floored so that a rejected chain counts but does not stop everything."""
    return float(1.0 / (1.0 / accept.clamp(min=1e-3)).mean())
