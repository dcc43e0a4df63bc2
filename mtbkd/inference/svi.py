"""Stochastic variational inference on the traced density (Kucukelbir et al. 2017; guides: guides.py).

    maximise  E_q[log p(theta, data)] + H[q],   q = the law of theta(phi, e), e ~ N(0, I)
    gradient  mean over particles of (d theta / d phi)' grad log p(theta) + grad H

by Adam on the negative ELBO a datum, so that learning rates survive a change of N. The entropy is exact where it has a
closed form. A step is three graphs: draw, the density's, and the pullback.

With the schedules 'constant', 'cosine' and 'one_cycle' a run has all its steps. With 'plateau' it ends when the ELBO
has converged, at latest after `steps`: plateau.py has the rule.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.errors import require_at_least, require_choice, require_positive
from mtbkd.inference import adam
from mtbkd.inference.adam import AdamState
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, check_finite_step, log_density_of, where_to_begin
from mtbkd.inference.guides import GUIDES, Guide, GuideGraphs, make_guide, trace_guide
from mtbkd.inference.map import SCHEDULES, rate
from mtbkd.inference.plateau import Plateau, look
from mtbkd.inference.rows import Shuffle, take
from mtbkd.progress import Progress


@dataclass(frozen=True)
class SVIConfig:
    """guide: 'diagonal', 'low_rank' (with `rank`), 'full' or 'flow'; steps: at most, if schedule is 'plateau', to which
    a rise of the ELBO below `tolerance` (nats a datum) is none; particles: draws a step; init_scale: the guide's first
    standard deviation; warm_start: MAP steps before; draws: posterior draws kept."""

    name: str = "svi"
    guide: str = "diagonal"
    rank: int = 10
    steps: int = 4000
    learning_rate: float = 0.01
    schedule: str = "cosine"
    tolerance: float = 0.02
    batch_size: int | None = 256
    particles: int = 1
    init_scale: float = 0.01
    warm_start: int = 1500
    warm_start_rate: float = 0.01
    draws: int = 200

    def __post_init__(self) -> None:
        require_choice("inference.guide", self.guide, GUIDES)
        require_choice("inference.schedule", self.schedule, (*SCHEDULES, "plateau"))
        numbers = (
            "rank",
            "steps",
            "learning_rate",
            "batch_size",
            "particles",
            "init_scale",
            "draws",
            "tolerance",
        )
        require_positive(**{f"inference.{n}": getattr(self, n) for n in (*numbers, "warm_start_rate")})
        require_at_least(0, **{"inference.warm_start": self.warm_start})

    @property
    def num_chains(self) -> int:
        """One: a variational posterior has no chains."""
        return 1

    @property
    def evaluations(self) -> int:
        """Gradients of the run, one a particle and step."""
        return self.steps * self.particles


@dataclass(frozen=True)
class SVIState:
    """The guide's parameters `phi [F]`, and what the next step needs."""

    phi: Tensor
    adam: AdamState
    shuffle: Shuffle
    plateau: Plateau
    step: int


def init(phi: Tensor, config: SVIConfig) -> SVIState:
    """Before the first step."""
    return SVIState(phi, adam.init(phi), Shuffle(), Plateau.begin(config.steps), 0)


def update(
    state: SVIState,
    density: Density,
    config: SVIConfig,
    guide: Guide,
    graphs: GuideGraphs,
    generator: torch.Generator,
) -> tuple[SVIState, Tensor]:
    """One step of Adam; and the estimated ELBO a datum before it, a scalar."""
    noise = torch.randn(config.particles, guide.noise, generator=generator, dtype=density.dtype)
    noise = noise.to(density.device)
    batch, shuffle = take(state.shuffle, density, config.batch_size, generator)
    (theta,) = graphs.draw(state.phi, noise)
    value, grad = density.value_and_grad(theta, batch)
    elbo, slope = graphs.pull(state.phi, noise, value, grad)
    if config.schedule == "plateau":
        share = state.plateau.rate(state.step)
    else:
        share = rate(config.schedule, state.step, config.steps)
    phi, moments = adam.adam(state.adam, state.phi, slope, config.learning_rate * share)
    return SVIState(phi, moments, shuffle, state.plateau, state.step + 1), elbo


def sample(
    density: Density,
    config: SVIConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Fit the guide from `start [1, D]` and draw from it: `theta [1, S, D]`, and its log density there, `log_q`."""
    like = torch.empty(density.dim, dtype=density.dtype, device=density.device)
    guide = make_guide(config.guide, like, config.rank)
    state = checkpoints.restore(SVIState, density.device)
    if state is None:
        (first,) = where_to_begin(start, density, 1, generator)
        state = init(guide.begin(first, config.init_scale, generator), config)
    elbos = checkpoints.array("elbo", (config.steps,), density.dtype)
    theta = checkpoints.array("theta", (1, config.draws, density.dim), density.dtype)
    state = climb(state, density, config, guide, elbos, generator, progress, checkpoints)
    elbos = elbos[: state.step]
    log_q = torch.empty(1, config.draws, dtype=density.dtype)
    for draw in range(config.draws):  # one by one, so that memory does not grow with their number
        noise = torch.randn(1, guide.noise, generator=generator, dtype=density.dtype).to(density.device)
        theta[0, draw] = guide.draw(state.phi, noise)[0][0]
        log_q[0, draw] = guide.log_q(state.phi, noise)[0]
    info = {
        "posterior_sd_median": float(guide.deviation(state.phi).median()),
        "elbo_per_datum": float(elbos[-max(1, len(elbos) // 10) :].mean()),
        "steps_run": float(state.step),
    }
    return Draws(theta, log_density_of(density, theta), {"log_q": log_q}, {"elbo": elbos}, info)


def climb(
    state: SVIState,
    density: Density,
    config: SVIConfig,
    guide: Guide,
    elbos: Tensor,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> SVIState:
    """The steps from `state` to the end, the ELBO a datum of each written into `elbos [steps]`."""
    compiled = density.execution.compiled
    graphs = trace_guide(guide, state.phi, config.particles, density.num_rows, compiled)
    with progress.stage("SVI", config.steps, done=state.step) as advance:
        while state.step < state.plateau.end:
            state, elbo = update(state, density, config, guide, graphs, generator)
            check_finite_step("svi", state.step - 1, elbo, config.learning_rate)
            elbos[state.step - 1] = elbo
            if config.schedule == "plateau":
                state = replace(state, plateau=look(state.plateau, elbos, state.step, config.tolerance))
            checkpoints.offer(state, state.step, state.plateau.end)
            advance(elbo=elbo)
    return state
