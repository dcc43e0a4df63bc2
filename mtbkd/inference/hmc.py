"""Hamiltonian Monte Carlo, all chains as one batch.

    v ~ N(0, M);  leapfrog with step eps for T / eps steps;  accept with probability min(1, exp(H - H'))

hamiltonian.py has one trajectory. Warm-up adapts the step by dual averaging to a target acceptance (Hoffman and Gelman
2014; the harmonic mean over chains, so that one stuck chain is heard), the length of trajectories by ChEES (chees.py),
and the mass (metric.py) by draws and gradients within chains in growing windows: chains that start at different MAPs
sit in separate modes, whose pooled variance would be far too large. Trajectories are jittered by a Halton sequence
shared by all chains, so that every chain takes the same number of steps.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.inference import adaptation, chees
from mtbkd.inference.adaptation import DualAveraging, Moments, Windows, fisher_scale, mass_windows
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.chees import Trajectory
from mtbkd.inference.engine import Draws, where_to_begin
from mtbkd.inference.hamiltonian import HMCState, Transition, find_step_size, init, update
from mtbkd.inference.metric import GradientSketch, Metric, affordable_rank
from mtbkd.progress import Progress

FIRST_LENGTH = 1.5  # standard deviations; pi / 2 is best for a normal whose mass is right
CENTRED = 10  # draws after which a chain's mean may serve as its centre
HEARD = 16  # gradients of a trajectory, at most, that its mass is learned from


@dataclass(frozen=True)
class HMCConfig:
    """warmup, draws: iterations a chain; trajectory: mean length T in standard deviations of the posterior, None: the
    one that ChEES finds; max_leapfrogs: at most so many steps a trajectory (digits' network takes them all);
    stiff_directions: so many a chain have a mass of their own, 0: the diagonal alone; accept: target of the harmonic
    mean over chains (above the .651 of theory, because chains move on to where other directions are stiff);
    warm_start: MAP steps before, one start a chain; dtype: of the chains; batch_size: none is possible."""

    name: str = "hmc"
    num_chains: int = 8
    warmup: int = 200
    draws: int = 200
    trajectory: float | None = None
    max_leapfrogs: int = 256
    stiff_directions: int = 32
    accept: float = 0.8
    warm_start: int = 1500
    warm_start_rate: float = 0.01
    warm_start_batch_size: int | None = 256
    thin: int = 1
    dtype: str = "float32"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            raise InputError(
                f"inference.batch_size is {self.batch_size}; HMC's energy must not change along a trajectory, which "
                "takes all rows at each gradient: leave it null (rows that memory does not hold are summed exactly in "
                "chunks), or use an engine made for batches (inference=sgld)"
            )
        numbers = ("num_chains", "draws", "max_leapfrogs", "thin", "trajectory", "warm_start_batch_size")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in (*numbers, "warm_start_rate")})
        at_least_none = ("warm_start", "stiff_directions")
        require_at_least(0, **{f"inference.{n}": getattr(self, n) for n in at_least_none})
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


def leapfrogs_of(config: HMCConfig, length: float, step_size: float, iteration: int) -> int:
    """Steps of this iteration's trajectory, jittered between 0.2 and 1.8 of its mean length."""
    jittered = length * (0.2 + 1.6 * adaptation.halton(iteration))
    return max(1, min(config.max_leapfrogs, round(jittered / step_size)))


@dataclass(frozen=True)
class HMCRun:
    """A run between two iterations.

    state: of the chains; metric: their mass; averaging, trajectory: of step and length, as adapted so far
    draws, forces: moments of draws and of gradients there in this window
    met: of gradients along trajectories, centre: of draws, which both forget old windows slowly: stiff directions turn
        as a chain moves on, and it will be where it was before
    diverged: `[C]`, since the last draw kept; iteration: of warm-up and sampling; spent: leapfrogs of the warm-up
    """

    state: HMCState
    metric: Metric
    averaging: DualAveraging
    trajectory: Trajectory
    draws: Moments
    forces: Moments
    met: GradientSketch
    centre: Moments
    diverged: Tensor
    iteration: int = 0
    spent: int = 0


def begin(density: Density, config: HMCConfig, theta: Tensor, generator: torch.Generator) -> HMCRun:
    """Before the first iteration."""
    state = init(density, theta)
    metric = Metric.diagonal(torch.ones(density.dim, device=theta.device, dtype=theta.dtype), len(theta))
    averaging = DualAveraging(find_step_size(state, density, metric, generator), config.accept)
    none = Moments.start(theta)
    return HMCRun(
        state,
        metric,
        averaging,
        Trajectory.of(config.trajectory or FIRST_LENGTH),
        none,
        none,
        GradientSketch.start(theta),
        none,
        torch.zeros(len(theta), dtype=torch.bool, device=theta.device),
    )


def warm_up(
    run: HMCRun, density: Density, config: HMCConfig, windows: Windows, generator: torch.Generator
) -> tuple[HMCRun, Transition]:
    """One iteration that adapts."""
    before, step = run.state.theta, run.averaging.step
    leapfrogs = leapfrogs_of(config, run.trajectory.length, step, run.iteration)
    rank = affordable_rank(config.stiff_directions, len(before), before)
    moved = update(run.state, density, step, run.metric, leapfrogs, generator, min(HEARD, 2 * rank))
    run = replace(
        run,
        state=moved.state,
        averaging=run.averaging.update(adaptation.harmonic_mean(moved.accept)),
        iteration=run.iteration + 1,
        spent=run.spent + leapfrogs,
    )
    if config.trajectory is None and run.centre.count >= CENTRED:
        gradient = chees.criterion_gradient(
            before / run.metric.scale,
            moved.end / run.metric.scale,
            moved.velocity,
            run.centre.mean / run.metric.scale,
            moved.accept,
            leapfrogs * step,
        )
        run = replace(run, trajectory=run.trajectory.update(gradient, config.max_leapfrogs * step))
    if run.iteration > windows.first:
        run = replace(run, centre=run.centre.update(moved.state.theta))
    if windows.first < run.iteration <= windows.last:
        theta, grad = moved.state.theta, moved.state.grad
        run = replace(run, draws=run.draws.update(theta), forces=run.forces.update(grad))
        if moved.met:
            run = replace(run, met=run.met.add(torch.stack(moved.met, 1), moved.accept, 2 * rank))
    if run.iteration in windows.ends:
        run = renew_mass(run, density, config, generator, last=run.iteration == windows.last)
    return run, moved


def renew_mass(
    run: HMCRun, density: Density, config: HMCConfig, generator: torch.Generator, last: bool
) -> HMCRun:
    """At the end of a window: its mass, a step for it, and moments from anew; after the last no gradient is kept."""
    theta = run.state.theta
    scale = fisher_scale(run.draws, run.forces, run.metric.scale)
    metric = Metric.of(scale, run.met, affordable_rank(config.stiff_directions, len(theta), theta))
    metric = metric.checked(theta, lambda at: density.value_and_grad(at)[1])
    none = Moments.start(theta)
    averaging = DualAveraging(find_step_size(run.state, density, metric, generator), config.accept)
    run = replace(run, metric=metric, averaging=averaging, draws=none, forces=none)
    met = GradientSketch.start(theta) if last else run.met.forget()
    return replace(run, met=met, centre=run.centre.forget())


def iterate(
    run: HMCRun, density: Density, config: HMCConfig, generator: torch.Generator
) -> tuple[HMCRun, Transition]:
    """One iteration with everything adapted held fixed."""
    step = run.averaging.average
    leapfrogs = leapfrogs_of(config, run.trajectory.average, step, run.iteration)
    moved = update(run.state, density, step, run.metric, leapfrogs, generator)
    diverged = run.diverged | moved.diverged
    return replace(run, state=moved.state, diverged=diverged, iteration=run.iteration + 1), moved


def sample(
    density: Density,
    config: HMCConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Adapt, then draw: `theta [C, S, D]` with acceptance, energy, divergences and leapfrogs a draw."""
    run = checkpoints.restore(HMCRun, density.device)
    if run is None:
        theta = where_to_begin(start, density, config.num_chains, generator)
        run = begin(density, config, theta, generator)
    kept = kept_arrays(density, config, checkpoints)
    run = adapt(density, config, run, generator, progress, checkpoints)
    return collect(density, config, run, kept, generator, progress, checkpoints)


def kept_arrays(density: Density, config: HMCConfig, checkpoints: Checkpoints) -> dict[str, Tensor]:
    """What draws are written into, `[C, S, D]` and `[C, S]`: there from the start, as any checkpoint finds them."""
    shape = (config.num_chains, config.draws)
    kinds = {"log_density": density.dtype, "accept": torch.float32, "energy": torch.float64}
    kinds |= {"diverging": torch.bool, "leapfrogs": torch.float32}
    kept = {name: checkpoints.array(name, shape, kind) for name, kind in kinds.items()}
    return kept | {"theta": checkpoints.array("theta", (*shape, density.dim), density.dtype)}


def adapt(
    density: Density,
    config: HMCConfig,
    run: HMCRun,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> HMCRun:
    """The warm-up, or what is left of it."""
    windows, total = mass_windows(config.warmup), config.warmup + config.draws * config.thin
    if run.iteration >= config.warmup:
        return run
    with progress.stage("HMC warm-up", config.warmup, done=run.iteration) as advance:
        for iteration in range(run.iteration, config.warmup):
            run, moved = warm_up(run, density, config, windows, generator)
            checkpoints.offer(run, iteration + 1, total)
            figures = {"step": run.averaging.step, "length": run.trajectory.length}
            advance(**figures, accept=moved.accept.mean(), leapfrogs=moved.leapfrogs)
    return run


def collect(
    density: Density,
    config: HMCConfig,
    run: HMCRun,
    kept: dict[str, Tensor],
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Draws into `kept`, with everything adapted held fixed."""
    total = config.draws * config.thin
    done = run.iteration - config.warmup
    divergences = kept["diverging"][:, : done // config.thin].sum()
    with progress.stage("HMC", total, done=done) as advance:
        for i in range(done, total):
            run, moved = iterate(run, density, config, generator)
            if (i + 1) % config.thin == 0:
                row = {"theta": run.state.theta, "log_density": run.state.value, "accept": moved.accept}
                row |= {"energy": moved.energy, "diverging": run.diverged}
                for name, column in row.items():
                    kept[name][:, i // config.thin] = column.cpu().to(kept[name].dtype)
                kept["leapfrogs"][:, i // config.thin] = moved.leapfrogs
                divergences = divergences + run.diverged.sum().cpu()
                run = replace(run, diverged=torch.zeros_like(run.diverged))
            checkpoints.offer(run, config.warmup + i + 1, config.warmup + total)
            advance(accept=moved.accept.mean(), divergences=divergences)
    stats = {name: kept[name] for name in ("accept", "energy", "diverging", "leapfrogs")}
    info = {
        "step_size": run.averaging.average,
        "trajectory": run.trajectory.average,
        "warmup_leapfrogs": float(run.spent),
        "leapfrogs_median": float(stats["leapfrogs"].median()),
    }
    return Draws(kept["theta"], kept["log_density"], stats, info=info)
