"""Maximum a posteriori: with point teachers this is the plain distilled student (METHOD fact 1).

    theta* = argmax log p(theta, data), by Adam on -log p / N with a one-cycle or cosine schedule

Several starts run as one batch, `theta [C, D]`; Adam acts on each weight alone, so chains do not touch.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import require_choice, require_positive
from mtbkd.inference import adam
from mtbkd.inference.adam import AdamState
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, EngineConfig, check_finite_step, log_density_of, where_to_begin
from mtbkd.inference.rows import Shuffle, take
from mtbkd.progress import Progress

SCHEDULES = ("constant", "cosine", "one_cycle")


@dataclass(frozen=True)
class MAPConfig:
    """steps: Adam steps; learning_rate: at its highest; batch_size: rows a step, None for all; num_starts:
    independent starts, each a chain of one draw."""

    name: str = "map"
    steps: int = 1500
    learning_rate: float = 0.01
    schedule: str = "cosine"
    batch_size: int | None = 256
    num_starts: int = 1

    def __post_init__(self) -> None:
        require_positive(
            **{
                f"inference.{n}": getattr(self, n)
                for n in ("steps", "learning_rate", "batch_size", "num_starts")
            }
        )
        require_choice("inference.schedule", self.schedule, SCHEDULES)

    @property
    def num_chains(self) -> int:
        """Independent starts."""
        return self.num_starts

    @property
    def point_estimates(self) -> bool:
        """Yes: tops of the density, of all sites, and no draws."""
        return True

    @property
    def evaluations(self) -> int:
        """Gradients of the run, one a step."""
        return self.steps


def warm_start(config: EngineConfig) -> MAPConfig:
    """The MAP runs that an engine's configuration asks to start from, one a chain: `warm_start` steps at
    `warm_start_rate` on `warm_start_batch_size` or the engine's own `batch_size`, with MAP's defaults where it names
    none."""
    default = MAPConfig()
    batch_size = getattr(config, "batch_size", default.batch_size)
    return MAPConfig(
        steps=getattr(config, "warm_start", 0) or default.steps,
        learning_rate=getattr(config, "warm_start_rate", default.learning_rate),
        batch_size=getattr(config, "warm_start_batch_size", batch_size),
        num_starts=config.num_chains,
    )


@dataclass(frozen=True)
class MAPState:
    """Where the starts are, `theta [C, D]`, and what the next step needs."""

    theta: Tensor
    adam: AdamState
    shuffle: Shuffle
    step: int


def init(theta: Tensor) -> MAPState:
    """Before the first step."""
    return MAPState(theta, adam.init(theta), Shuffle(), 0)


def update(
    state: MAPState, density: Density, config: MAPConfig, generator: torch.Generator
) -> tuple[MAPState, Tensor]:
    """One step of Adam from every start; and the log-density `[C]` before it."""
    batch, shuffle = take(state.shuffle, density, config.batch_size, generator)
    value, grad = density.value_and_grad(state.theta, batch)
    learning_rate = config.learning_rate * rate(config.schedule, state.step, config.steps)
    theta, moments = adam.adam(state.adam, state.theta, grad / -density.num_rows, learning_rate)
    return MAPState(theta, moments, shuffle, state.step + 1), value


def sample(
    density: Density,
    config: MAPConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Climb from `start [C, D]`; the draws are the tops, one a chain."""
    tops, losses = climb(density, config, start, generator, progress, checkpoints)
    draws = tops[:, None]
    return Draws(draws, log_density_of(density, draws), trace={"loss": losses})


def climb(
    density: Density,
    config: MAPConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> tuple[Tensor, Tensor]:
    """The tops `[C, D]` alone, where other engines begin, and the loss a datum of each step."""
    state = checkpoints.restore(MAPState, density.device)
    if state is None:
        state = init(where_to_begin(start, density, config.num_starts, generator))
    losses = checkpoints.array("loss", (config.steps,), density.dtype)
    with progress.stage("MAP", config.steps, done=state.step) as advance:
        for step in range(state.step, config.steps):
            state, value = update(state, density, config, generator)
            check_finite_step("map", step, value, config.learning_rate)
            losses[step] = -value.mean() / density.num_rows
            checkpoints.offer(state, step + 1, config.steps)
            advance(loss=losses[step])
    return state.theta, losses


def rate(schedule: str, step: int, total: int) -> float:
    """Share of the highest learning rate at a step: constant; cosine down to 0; or up over the first 20 % and down."""
    if schedule == "constant":
        return 1.0
    rise = 0.2 * total if schedule == "one_cycle" else 0.0
    if step < rise:
        return 0.05 + 0.95 * step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (total - rise)))
