"""What stochastic-gradient samplers share: schedules of steps, the RMSprop preconditioner, the loop that keeps draws.

    constant     eps_t = eps_0
    polynomial   eps_t = eps_0 (1 + t / decay_steps)^-decay                    (Welling and Teh 2011, a (b + t)^-gamma)
    cyclical     eps_t = eps_0 / 2 (cos(pi t / L) + 1), t within its cycle of L steps             (Zhang et al. 2020)

t counts from the end of the warm-up, which runs at eps_0. In the first share of a cycle, `explore`, there is neither
noise nor a draw.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import InputError, require_at_least, require_choice, require_fraction, require_positive
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Diverged, Draws, log_density_of
from mtbkd.progress import Progress

SCHEDULES = ("constant", "polynomial", "cyclical")
PRECONDITIONERS = ("none", "rmsprop")

# RMSprop: the share of the mean square that a step keeps; what is added to its root, as a share of a typical root.
SMOOTHING, DAMPING = 0.99, 0.01

# Steps between two looks at whether the chains are finite.
LOOK = 50

# Rows at which the draws' log densities are evaluated for diagnostics: all of a large pool, for every draw, would take
# as long as the sampling.
LOG_DENSITY_ROWS = 4096


@dataclass(frozen=True)
class StochasticGradientSettings:
    """Settings of any stochastic-gradient sampler.

    warmup: steps before draws, in which the preconditioner is found; draws: a chain; thin: steps a draw, on average
    step_size: eps_0, at its highest; step_for: 'mean': it is meant for the log posterior averaged over the N rows, so
        that eps_0 = step_size / N and one setting serves all N; 'sum': eps_0 = step_size
    schedule: of the steps (above); decay, decay_steps: of polynomial; cycles, explore: of cyclical
    precondition: 'none' or 'rmsprop'; batch_size: rows a step, the same for all chains, None for all
    posterior_temperature: T, the target is p^(1/T); warm_start: MAP steps before, one start a chain
    """

    name: str = ""
    num_chains: int = 8
    warmup: int = 1500
    draws: int = 200
    thin: int = 20
    step_size: float = 0.2
    step_for: str = "mean"
    schedule: str = "constant"
    decay: float = 0.55
    decay_steps: int = 1000
    cycles: int = 4
    explore: float = 0.25
    precondition: str = "rmsprop"
    batch_size: int | None = 256
    posterior_temperature: float = 1.0
    warm_start: int = 1500
    warm_start_rate: float = 0.01

    def __post_init__(self) -> None:
        counts = ("num_chains", "draws", "thin", "decay_steps", "cycles", "batch_size")
        numbers = ("step_size", "posterior_temperature", "warm_start_rate")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in (*counts, *numbers)})
        require_at_least(0, **{f"inference.{n}": getattr(self, n) for n in ("warmup", "decay", "warm_start")})
        require_fraction(**{"inference.explore": self.explore})
        require_choice("inference.step_for", self.step_for, ("mean", "sum"))
        require_choice("inference.schedule", self.schedule, SCHEDULES)
        require_choice("inference.precondition", self.precondition, PRECONDITIONERS)
        if self.precondition == "rmsprop" and self.warmup == 0:
            raise InputError(
                "inference.warmup is 0; rmsprop needs steps to be found in, for it is frozen before draws are kept: "
                "give some hundred, or inference.precondition=none"
            )
        if self.schedule == "cyclical" and math.ceil(self.explore * self.cycle) >= self.cycle:
            raise InputError(
                f"inference.explore {self.explore:g} of cycles of {self.cycle} steps leaves no step to sample in; "
                "lower explore or cycles, or raise thin"
            )

    @property
    def cycle(self) -> int:
        """Steps of a cycle."""
        return math.ceil(self.draws * self.thin / self.cycles)

    @property
    def evaluations(self) -> int:
        """Gradients of the run, one a step."""
        return self.warmup + self.draws * self.thin


# ---- steps ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timetable:
    """The whole run: each step's size `eps`, the temperature of its noise (0: none), and after which step each draw is
    kept."""

    eps: list[float]
    temperature: list[float]
    kept: list[int]

    @classmethod
    def of(cls, config: StochasticGradientSettings, num_rows: int) -> "Timetable":
        """Draws are kept at equal intervals of time, the sum of eps over steps with noise: they count equally, which
        is Welling and Teh's weighting by eps (their equation 11)."""
        first = config.step_size / (num_rows if config.step_for == "mean" else 1)
        steps = config.draws * config.thin
        eps = [first] * config.warmup + [first * share(config, t) for t in range(steps)]
        exploring = [False] * config.warmup + [explores(config, t) for t in range(steps)]
        temperature = [0.0 if without else config.posterior_temperature for without in exploring]
        elapsed, times = 0.0, []
        for step in range(len(eps)):
            elapsed += eps[step] * (step >= config.warmup and not exploring[step])
            times.append(elapsed)
        # Less a little, so that a sum's rounding does not move a draw by a step.
        wanted = [elapsed * (s + 1) / config.draws * (1 - 1e-9) for s in range(config.draws)]
        return cls(eps, temperature, [bisect_left(times, time) for time in wanted])


def share(config: StochasticGradientSettings, step: int) -> float:
    """eps_t / eps_0 at a step after the warm-up."""
    if config.schedule == "polynomial":
        return float((1 + step / config.decay_steps) ** -config.decay)
    if config.schedule == "cyclical":
        return 0.5 * (math.cos(math.pi * (step % config.cycle) / config.cycle) + 1)
    return 1.0


def explores(config: StochasticGradientSettings, step: int) -> bool:
    """Whether a step after the warm-up is in the share of its cycle that has no noise."""
    return config.schedule == "cyclical" and step % config.cycle < config.explore * config.cycle


# ---- preconditioner ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preconditioner:
    """G `[C, D]` of each chain, its root, and what it is found from; fixed after the warm-up.

    G = r / (sqrt(V) + damping r), V the running mean of squared gradients, r the root of its mean over weights (Li et
    al. 2016, RMSprop; with r in place of their absolute constants, a step keeps its size whatever the gradients').
    While G changes with theta, a term Gamma = div G is due that nobody computes; a fixed one needs none.
    """

    square: Tensor
    count: int
    scale: Tensor
    root: Tensor

    @classmethod
    def start(cls, theta: Tensor) -> "Preconditioner":
        """G = 1, before any gradient."""
        return cls(torch.zeros_like(theta), 0, torch.ones_like(theta), torch.ones_like(theta))

    def adapt(self, grad: Tensor) -> "Preconditioner":
        """After one more gradient."""
        square = torch.addcmul(self.square * SMOOTHING, grad, grad, value=1 - SMOOTHING)
        root = (square / (1 - SMOOTHING ** (self.count + 1))).sqrt()
        typical = root.square().mean(-1, keepdim=True).sqrt()
        scale = typical / (root + DAMPING * typical).clamp(min=torch.finfo(root.dtype).tiny)
        return Preconditioner(square, self.count + 1, scale, scale.sqrt())


def begin_preconditioner(config: StochasticGradientSettings, theta: Tensor) -> Preconditioner | None:
    """That of the settings, None for none."""
    return Preconditioner.start(theta) if config.precondition == "rmsprop" else None


def push(
    x: Tensor,
    preconditioner: Preconditioner | None,
    grad: Tensor,
    drift: float,
    noise: Tensor | None,
    spread: float,
) -> Tensor:
    """x + drift G grad + spread sqrt(G) noise, `[C, D]`: the noise has the variance that belongs to the drift in every
    weight if spread^2 belongs to drift."""
    if preconditioner is None:
        moved = torch.add(x, grad, alpha=drift)
        return moved if noise is None else moved.add_(noise, alpha=spread)
    moved = torch.addcmul(x, preconditioner.scale, grad, value=drift)
    return moved if noise is None else moved.addcmul_(preconditioner.root, noise, value=spread)


def draw_noise(like: Tensor, temperature: float, generator: torch.Generator) -> Tensor | None:
    """Standard normals of the shape, dtype and device of `like`; None at temperature 0."""
    if temperature == 0:
        return None
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)


# ---- the run -------------------------------------------------------------------------------------------------


class Chains(Protocol):
    """What the loop needs of a sampler's state: `theta [C, D]`, and the steps taken."""

    @property
    def theta(self) -> Tensor: ...

    @property
    def step(self) -> int: ...


State = TypeVar("State", bound=Chains)
Update = Callable[[State, float, float], tuple[State, Tensor]]


def walk(
    state: State,
    update: Update[State],
    density: Density,
    config: StochasticGradientSettings,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """The steps from `state` to the end, and the draws `theta [C, S, D]`.

    update: `(state, eps, temperature) -> (state, log-density [C] before the step)`
    Raises `Diverged` where chains leave the finite numbers.
    """
    times = Timetable.of(config, density.num_rows)
    theta = checkpoints.array("theta", (config.num_chains, config.draws, density.dim), density.dtype)
    draw = bisect_left(times.kept, state.step)
    with progress.stage(config.name.upper(), config.evaluations, done=state.step) as advance:
        for step in range(state.step, config.evaluations):
            state, value = update(state, times.eps[step], times.temperature[step])
            kept = draw < config.draws and times.kept[draw] == step
            if kept or step % LOOK == 0:
                check_finite_chains(config, step, state.theta)
            while draw < config.draws and times.kept[draw] == step:
                theta[:, draw] = state.theta
                draw += 1
            checkpoints.offer(state, step + 1, config.evaluations)
            advance(log_density=value.mean())
    rows = min(LOG_DENSITY_ROWS, density.num_rows)
    info = {"step_size": times.eps[0], "log_density_rows": float(rows)}
    return Draws(theta, log_density_of(density, theta, rows), info=info)


def check_finite_chains(config: StochasticGradientSettings, step: int, theta: Tensor) -> None:
    """Raise `Diverged` where a chain is not finite."""
    if not bool(torch.isfinite(theta).all()):
        raise Diverged(
            f"{config.name} diverged: a chain is not finite at step {step}; lower inference.step_size "
            f"({config.step_size:g}), or scale the inputs"
        )


def stepped(preconditioner: Preconditioner | None, grad: Tensor, adapting: bool) -> Preconditioner | None:
    """The preconditioner for this step: one more gradient known while adapting, else as it is."""
    return preconditioner.adapt(grad) if adapting and preconditioner is not None else preconditioner
