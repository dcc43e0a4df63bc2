"""What an engine is: a file with a `*Config` and `sample`, from a density to draws.

    sample(density, config, start, generator, progress, checkpoints) -> Draws

density: with its execution planned; start: `[C, D]`, or None: the engine's own; generator: the run's only source of
chance; checkpoints: where the engine keeps its state after each step, and finds it again after a kill. A config may
name `warm_start`, the number of MAP steps that give the start, and `num_chains`; `evaluations` tells beforehand how
many gradients the run takes, by which `Density.plan` decides.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import InputError


@dataclass(frozen=True)
class Draws:
    """What an engine returns.

    theta: `[C, S, D]` draws, chains first; log_density: `[C, S]`
    stats: `[C, S]` a draw (acceptance, energy, ...); trace: one value a step, `[T]` (ELBO, loss)
    info: single numbers (step size, evaluations, ...)
    centre: `[C, D]` where predictions are to be of the network linearised there, None: of the network itself
    """

    theta: Tensor
    log_density: Tensor
    stats: dict[str, Tensor] = field(default_factory=dict)
    trace: dict[str, Tensor] = field(default_factory=dict)
    info: dict[str, float] = field(default_factory=dict)
    centre: Tensor | None = None


@runtime_checkable
class EngineConfig(Protocol):
    """What `fit` needs to know of any engine's configuration."""

    @property
    def name(self) -> str: ...

    @property
    def num_chains(self) -> int: ...

    @property
    def evaluations(self) -> int:
        """Gradients the run will take, each of all chains at once."""
        ...


def gives_points(config: object) -> bool:
    """Whether an engine's configuration says that it gives tops of the density and no draws: nothing is held at its
    MAP, as all is."""
    return bool(getattr(config, "point_estimates", False))


def log_density_of(density: Density, theta: Tensor, rows: int | None = None) -> Tensor:
    """Log-density of draws `[C, S, D]` -> `[C, S]`, a chain-sized batch at a time.

    rows: None for all; else as many at most, evenly spread and the same for every draw, their sum scaled to N: an
        estimate, for engines that never see all rows, by which chains can be compared all the same
    """
    if density.execution.compiled:  # that the run paid for compiling does not mean that this does
        density = density.plan(*theta.shape[:2])
    batch = None
    if rows is not None and rows < density.num_rows:
        batch = density.batch(torch.arange(rows) * density.num_rows // rows)
    with torch.no_grad():
        columns = [density.log_prob(one.to(density.device), batch).cpu() for one in theta.unbind(1)]
    return torch.stack(columns, 1)


class Diverged(RuntimeError):
    """An optimisation left the finite numbers; the message says at which step and what to lower."""


def check_finite_step(engine: str, step: int, value: Tensor, learning_rate: float) -> None:
    """Raise `Diverged` where an objective is not finite."""
    if not bool(torch.isfinite(value).all()):
        raise Diverged(
            f"{engine} diverged: its objective is not finite at step {step}; "
            f"lower its learning rate ({learning_rate:g}), or scale the inputs"
        )


def check_start(start: Tensor | None, density: Density, num_chains: int) -> None:
    """Raise `InputError` unless the start is `[num_chains, D]` and has a finite density."""
    if start is None:
        return
    expected = (num_chains, density.dim)
    if tuple(start.shape) != expected:
        raise InputError(f"start has shape {tuple(start.shape)}; {expected} (chains, dimensions) is needed")
    if not bool(torch.isfinite(start).all()):
        raise InputError("start has values that are not finite; give another one, or leave it out")


def where_to_begin(
    start: Tensor | None, density: Density, num_chains: int, generator: torch.Generator
) -> Tensor:
    """The start `[C, D]` on the density's device, or small normals where none is given; raises as `check_start`."""
    check_start(start, density, num_chains)
    if start is None:
        start = 0.1 * torch.randn(num_chains, density.dim, generator=generator)
    return start.detach().to(density.device, density.dtype)
