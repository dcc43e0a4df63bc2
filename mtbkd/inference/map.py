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
from mtbkd.inference.engine import Draws, EngineConfig, check_finite_step, check_start, log_density_of
from mtbkd.inference.rows import batches
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
    def evaluations(self) -> int:
        """Gradients of the run, one a step."""
        return self.steps


def warm_start(config: EngineConfig) -> MAPConfig:
    """The MAP runs that an engine's configuration asks to start from, one a chain: `warm_start` steps at
    `warm_start_rate` on the engine's own `batch_size`, with MAP's defaults where it names none."""
    default = MAPConfig()
    return MAPConfig(
        steps=getattr(config, "warm_start", 0) or default.steps,
        learning_rate=getattr(config, "warm_start_rate", default.learning_rate),
        batch_size=getattr(config, "batch_size", default.batch_size),
        num_starts=config.num_chains,
    )


def sample(
    density: Density, config: MAPConfig, start: Tensor | None, generator: torch.Generator, progress: Progress
) -> Draws:
    """Climb from `start [C, D]`; the draws are the tops, one a chain."""
    check_start(start, density, config.num_starts)
    if start is None:
        start = 0.1 * torch.randn(config.num_starts, density.dim, generator=generator)
    theta = start.detach().clone().to(density.device, density.dtype)
    optimizer = torch.optim.Adam([theta], lr=config.learning_rate, fused=True)
    losses = []
    source = batches(density, config.batch_size, generator)
    with progress.stage("MAP", config.steps) as advance:
        for step in range(config.steps):
            value, grad = density.value_and_grad(theta, next(source) if density.takes_batches else None)
            check_finite_step("map", step, value, config.learning_rate)
            theta.grad = -grad / density.num_rows
            set_rate(optimizer, config.learning_rate * rate(config.schedule, step, config.steps))
            optimizer.step()
            losses.append(-value.mean() / density.num_rows)
            advance(loss=losses[-1])
    draws = theta.detach()[:, None]
    return Draws(draws, log_density_of(density, draws), trace={"loss": torch.stack(losses)})


def rate(schedule: str, step: int, total: int) -> float:
    """Share of the highest learning rate at a step: constant; cosine down to 0; or up over the first 20 % and down."""
    if schedule == "constant":
        return 1.0
    rise = 0.2 * total if schedule == "one_cycle" else 0.0
    if step < rise:
        return 0.05 + 0.95 * step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (total - rise)))


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give all of an optimizer's parameters this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
