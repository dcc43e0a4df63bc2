"""Laplace's approximation at the MAP (MacKay 1992), by a generalised Gauss-Newton where the model tells its logits.

    theta ~ N(theta*, (P + sum_i J_i' H_i J_i)^-1)        P: the weight prior's precision; J, H: see curvature.py

For a student, H_i = [labelled] (diag q - q q') + strength / tau^2 sum_m r_m s_m (diag q_tau - q_tau q_tau'): a row
without a label counts by its teachers alone. The responsibilities r are held fixed, which is exact for one teacher and
for the product pool; a mixture's true curvature is less, and not positive where teachers disagree. A hint adds
alpha / F for each projected feature P h; J is then of these too, and what residuals would add is left out, as in any
Gauss-Newton. Other models get their exact Hessian.

    diagonal    its diagonal alone: deviations given all other weights
    low_rank    the largest eigenpairs of P^-1/2 G P^-1/2 (Spantini et al. 2015) by subspace iteration (Halko,
                Martinsson and Tropp 2011, section 4.5), and the diagonal of the rest: any layer, D in the 100,000s
    full        all of it; with `student.bayesian=last`, of the last layer

`linearised` predictions are of f(x, theta*) + J(x)(theta - theta*), the model that G belongs to (Immer et al. 2021).
"""

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from mtbkd.density import Batch, Density
from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.inference import curvature
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, log_density_of, where_to_begin
from mtbkd.inference.precision import (
    DiagonalPrecision,
    FullPrecision,
    LowRankPrecision,
    Precision,
    log_normal,
)
from mtbkd.progress import Progress

STRUCTURES = ("diagonal", "low_rank", "full")
PREDICTIVES = ("linearised", "network")

# A full precision of so many weights takes 200 MB in float64, and its Cholesky factor two seconds.
MOST_FULL = 5000

# Bytes that a chunk of rows may take on its way; rows of a Hessian made at once; directions beyond the rank asked for,
# which make the last of the eigenpairs right; numbers in the noise of a chunk of draws.
MEMORY = 5e8
HESSIAN_ROWS = 16
OVERSAMPLING = 10
NOISE = 4_000_000


@dataclass(frozen=True)
class LaplaceConfig:
    """structure: 'diagonal', 'low_rank' (with `rank`, in so many `passes` over the rows) or 'full'; predictive:
    'linearised' or 'network'; curvature_rows: a random part of the rows that the curvature is estimated from, None for
    all; num_chains: MAPs, each with its own normal; warm_start: MAP steps before; batch_size: rows at once."""

    name: str = "laplace"
    structure: str = "full"
    rank: int = 50
    passes: int = 3
    predictive: str = "linearised"
    curvature_rows: int | None = None
    num_chains: int = 1
    warm_start: int = 1500
    warm_start_rate: float = 0.01
    batch_size: int | None = 256
    draws: int = 200

    def __post_init__(self) -> None:
        require_choice("inference.structure", self.structure, STRUCTURES)
        require_choice("inference.predictive", self.predictive, PREDICTIVES)
        numbers = ("rank", "passes", "curvature_rows", "num_chains", "warm_start_rate", "batch_size", "draws")
        require_positive(**{f"inference.{n}": getattr(self, n) for n in numbers})
        require_at_least(0, **{"inference.warm_start": self.warm_start})

    @property
    def evaluations(self) -> int:
        """None of the traced gradient."""
        return 0


@dataclass(frozen=True)
class Work:
    """How one chain's curvature is summed: by Gauss-Newton in chunks of `rows` of `used` rows, or by rows of a Hessian;
    loop: rows and directions one after the other; passes over all of it."""

    gauss_newton: bool
    used: int
    rows: int
    loop: bool
    passes: int

    @property
    def steps(self) -> int:
        """Chunks of all passes."""
        return self.passes * -(-self.used // self.rows)


@dataclass(frozen=True)
class LaplaceState:
    """Steps done, of all chains; of the present chain's curvature: which rows `[n]` it is summed over, what it has come
    to, `[D]`, `[D, D]` or `[D, R]`; for a low-rank one the directions `[D, R]` that it is multiplied with, and its
    diagonal `[D]`."""

    step: int
    order: Tensor
    total: Tensor
    basis: Tensor | None = None
    diagonal: Tensor | None = None


def plan(density: Density, config: LaplaceConfig) -> Work:
    """How to sum; raises `InputError` where this model cannot have this structure."""
    d = density.dim
    if config.structure == "full" and d > MOST_FULL:
        raise InputError(
            f"inference.structure is 'full': {d} weights make a matrix of {d} x {d}, at most {MOST_FULL} are taken; "
            "use low_rank or diagonal, or student.bayesian=last"
        )
    if not curvature.has_gauss_newton(density):
        if config.structure == "low_rank":
            raise InputError(
                "inference.structure is 'low_rank', which needs a model that tells its logits (curvature.HasLogits), "
                "as a Student does; use full or diagonal"
            )
        return Work(False, d, HESSIAN_ROWS, loop=False, passes=1)
    curvature.weight_precision(density)  # a prior that has none says so before the work
    low_rank = config.structure == "low_rank"
    first = density.tensors[0][:1]
    anywhere = torch.zeros(d, dtype=density.dtype, device=density.device)
    num_classes = curvature.logits_of(density, first)(anywhere).shape[-1]
    together = directions(config, d) if low_rank else num_classes
    execution = density.plan(together, 0, compiled="never", memory=MEMORY).execution
    used = min(config.curvature_rows or density.num_rows, density.num_rows)
    jacobians = 3 * num_classes * d * first.element_size()  # of a row: J, H J, and a product of both
    rows = min(used, config.batch_size or used, execution.rows or used, max(1, int(MEMORY // jacobians)))
    return Work(True, used, rows, execution.loop, config.passes if low_rank else 1)


def directions(config: LaplaceConfig, dim: int) -> int:
    """Directions that a low-rank curvature is multiplied with, R."""
    return min(config.rank + OVERSAMPLING, dim)


def init(
    density: Density, config: LaplaceConfig, work: Work, generator: torch.Generator, step: int = 0
) -> LaplaceState:
    """Before a chain's first chunk."""
    order = torch.arange(work.used)
    if work.gauss_newton and work.used < density.num_rows:
        order = torch.randperm(density.num_rows, generator=generator)[: work.used]
    d = density.dim
    nothing = torch.zeros(d, dtype=torch.float64, device=density.device)
    state = LaplaceState(step, order.to(density.device), nothing)
    if config.structure == "full":
        return replace(state, total=nothing.new_zeros(d, d))
    if config.structure == "low_rank":
        noise = torch.randn(d, directions(config, d), generator=generator, dtype=torch.float64)
        basis = orthonormal(noise.to(density.device))
        return replace(state, total=torch.zeros_like(basis), basis=basis, diagonal=nothing)
    return state


def update(
    state: LaplaceState, density: Density, config: LaplaceConfig, work: Work, centre: Tensor
) -> LaplaceState:
    """The next chunk of the curvature at `centre [D]`."""
    first = (state.step % (work.steps // work.passes)) * work.rows
    chosen = state.order[first : first + work.rows]
    state = replace(state, step=state.step + 1)
    if not work.gauss_newton:
        part = curvature.hessian_rows(density, centre, first, first + len(chosen))
        part = part.diagonal(first) if config.structure == "diagonal" else part
        return replace(state, total=state.total.index_copy(0, chosen, part))
    rows: Batch = tuple(tensor[chosen] for tensor in density.tensors)
    scale = density.num_rows / work.used
    if state.basis is not None:
        return update_low_rank(state, density, work, centre, rows, scale)
    summed = curvature.gauss_newton_diagonal if config.structure == "diagonal" else curvature.gauss_newton
    return replace(state, total=state.total + scale * summed(density, centre, rows, work.loop))


def update_low_rank(
    state: LaplaceState, density: Density, work: Work, centre: Tensor, rows: Batch, scale: float
) -> LaplaceState:
    """The same of P^-1/2 G P^-1/2 times directions: new ones with each pass, and G's diagonal in the first."""
    total, basis, diagonal = state.total, state.basis, state.diagonal
    assert basis is not None
    assert diagonal is not None
    done = (state.step - 1) % work.steps
    a_pass = work.steps // work.passes
    if done < a_pass:
        diagonal = diagonal + scale * curvature.gauss_newton_diagonal(density, centre, rows, work.loop)
    elif done % a_pass == 0:
        basis, total = orthonormal(total), torch.zeros_like(total)
    whiten = curvature.weight_precision(density).rsqrt()[:, None]
    part = whiten * curvature.gauss_newton_products(density, centre, rows, whiten * basis, work.loop)
    return replace(state, total=total + scale * part, basis=basis, diagonal=diagonal)


def precision_of(state: LaplaceState, density: Density, config: LaplaceConfig, work: Work) -> Precision:
    """What the curvature that was summed makes of the weight prior.

    Raises `InputError` where a Hessian says that the chain is not at a maximum.
    """
    prior = (
        curvature.weight_precision(density) if work.gauss_newton else torch.zeros_like(state.total[..., 0])
    )
    if state.basis is not None and state.diagonal is not None:
        factor = prior.sqrt()[:, None] * nystrom(state.basis, state.total)[:, : config.rank]
        rest = (state.diagonal - factor.square().sum(-1)).clamp(min=0)  # below 0 by rounding alone
        return LowRankPrecision.of(prior + rest, factor)
    if config.structure == "diagonal":
        diagonal = state.total + prior
        failed = not bool((diagonal > 0).all())
        result: Precision = DiagonalPrecision(diagonal)
    else:
        cholesky, info = torch.linalg.cholesky_ex(symmetric(state.total) + prior.diag())
        failed = bool(info)
        result = FullPrecision(cholesky)
    if failed:
        raise InputError(
            "laplace: the log-density has no maximum where the chain is (its curvature is not positive definite); "
            "raise inference.warm_start, or start from a longer MAP run"
        )
    return result


def nystrom(basis: Tensor, products: Tensor) -> Tensor:
    """F `[D, R]`, its columns orthogonal and the longest first, with F F' = A Q (Q' A Q)^-1 Q' A of orthonormal Q and
    A Q `[D, R]`: the best that Q knows of a matrix A >= 0, and never more than it (Tropp et al. 2017)."""
    values, vectors = torch.linalg.eigh(symmetric(basis.T @ products))
    known = values > 1e-10 * values[-1].clamp(min=torch.finfo(values.dtype).tiny)
    left, lengths, _ = torch.linalg.svd(
        products @ vectors[:, known] * values[known].rsqrt(), full_matrices=False
    )
    return cast(Tensor, left * lengths)


def orthonormal(matrix: Tensor) -> Tensor:
    """A basis of a matrix's columns, in the memory layout that a restored one has: another changes the last bits."""
    return torch.linalg.qr(matrix).Q.contiguous()


def symmetric(matrix: Tensor) -> Tensor:
    """The mean of a matrix and its transpose, which rounding sets apart."""
    return (matrix + matrix.T) / 2


def sample(
    density: Density,
    config: LaplaceConfig,
    start: Tensor | None,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> Draws:
    """Draw from the normal at each of `start [C, D]`, the tops: `theta [C, S, D]`, with `log_q` of the draws."""
    centre = where_to_begin(start, density, config.num_chains, generator)
    work = plan(density, config)
    state = checkpoints.restore(LaplaceState, density.device) or init(density, config, work, generator)
    shape = (config.num_chains, config.draws)
    theta = checkpoints.array("theta", (*shape, density.dim), density.dtype)
    log_q = checkpoints.array("log_q", shape, torch.float64)
    total = config.num_chains * work.steps
    with progress.stage("Laplace", total, done=state.step) as advance:
        while state.step < total:
            chain = state.step // work.steps
            state = update(state, density, config, work, centre[chain])
            if state.step % work.steps == 0:
                precision = precision_of(state, density, config, work)
                draw(precision, centre[chain], generator, theta[chain], log_q[chain])
                state = init(density, config, work, generator, state.step)
            checkpoints.offer(state, state.step, total)
            advance()
    linearised = config.predictive == "linearised" and work.gauss_newton
    log_density = log_density_of(density, theta.to(density.device))
    return Draws(theta, log_density, stats={"log_q": log_q}, centre=centre if linearised else None)


def draw(
    precision: Precision, centre: Tensor, generator: torch.Generator, theta: Tensor, log_q: Tensor
) -> None:
    """Fill `theta [S, D]` with draws round `centre [D]`, and `log_q [S]`, some draws at a time."""
    at_once = max(1, NOISE // len(centre))
    for some, densities in zip(theta.split(at_once), log_q.split(at_once), strict=True):
        noise = torch.randn(some.shape, generator=generator, dtype=torch.float64).to(centre.device)
        some.copy_(centre + precision.deviations(noise))
        densities.copy_(log_normal(precision, noise))
