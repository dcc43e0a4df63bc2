"""A deep ensemble: independent MAP runs at once, each member one draw (Lakshminarayanan, Pritzel and Blundell 2017).

    theta_c* = a local argmax log p(theta, data), from its own first weights, c = 1..C

Members share mini-batches, so that one graph serves all; what tells them apart is where they start. They are modes, not
draws of the posterior: nothing mixes, and R-hat does not apply.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import InputError, require_choice, require_positive
from mtbkd.inference import map as map_engine
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws
from mtbkd.inference.map import SCHEDULES, MAPConfig
from mtbkd.progress import Progress


@dataclass(frozen=True)
class EnsembleConfig:
    """num_members: MAP runs, each a chain of one draw; steps, learning_rate, schedule, batch_size: as MAP has them."""

    name: str = "ensemble"
    num_members: int = 5
    steps: int = 1500
    learning_rate: float = 0.01
    schedule: str = "cosine"
    batch_size: int | None = 256

    def __post_init__(self) -> None:
        numbers = ("num_members", "steps", "learning_rate", "batch_size")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in numbers})
        require_choice("inference.schedule", self.schedule, SCHEDULES)

    @property
    def num_chains(self) -> int:
        """Members."""
        return self.num_members

    @property
    def point_estimates(self) -> bool:
        """Yes: tops of the density, of all sites, and no draws."""
        return True

    @property
    def evaluations(self) -> int:
        """Gradients of the run, one a step."""
        return self.steps


def sample(
    density: Density,
    config: EnsembleConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Climb from `start [C, D]`: `theta [C, 1, D]`.

    Raises `InputError` where two members start at one place, as they would end at one.
    """
    if start is not None and (places := len(torch.unique(start, dim=0))) < len(start):
        raise InputError(
            f"the {len(start)} members of an ensemble start at {places} places, and would end at as many; "
            "give each its own start, or none"
        )
    climbing = MAPConfig(
        steps=config.steps,
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        batch_size=config.batch_size,
        num_starts=config.num_members,
    )
    return map_engine.sample(density, climbing, start, generator, progress, checkpoints)
