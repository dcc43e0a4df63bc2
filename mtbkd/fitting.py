"""`fit`: a Pyro model, data and an engine in, a posterior out."""

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from mtbkd import registry
from mtbkd.data.distillation import DistillationData
from mtbkd.density import Density
from mtbkd.errors import InputError, require_choice
from mtbkd.fit_record import FitRecord
from mtbkd.inference import map as map_engine
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws, EngineConfig, gives_points
from mtbkd.posterior import Posterior
from mtbkd.progress import Progress, TerminalProgress
from mtbkd.students.student import Student

Data = DistillationData | tuple[Tensor, ...]


def fit(
    model: Student | Callable[..., Any],
    data: Data,
    inference: str | EngineConfig = "svi",
    *,
    seed: int = 0,
    device: str = "cpu",
    compiled: str = "auto",
    start: Posterior | None = None,
    progress: bool | Progress = True,
    checkpoint: str | Path | None = None,
) -> Posterior:
    """Fit a student, or any Pyro model with continuous latents, by any engine.

    model: a `Student`, or a Pyro model called as `model(*data)`
    data: `DistillationData`; or, for a student, `(x [N, ...], y [N])` with y = -1 where unlabelled
    inference: an engine's name with its defaults ('map', 'ensemble', 'svi', 'laplace', 'hmc', 'sgld',
        'sghmc', 'nuts', 'pyro_svi'), or its configuration
    seed: the same seed gives the same draws
    device: 'cpu', 'cuda', or 'auto': CUDA where there is one and the student is large enough to gain by it
    compiled: 'auto' (where it pays, by size), 'always', 'never'
    start: a posterior of the same model whose first draw of each chain the chains start from, in place of the
        engine's own warm start by MAP
    checkpoint: a folder in which the run keeps what it needs to go on; after a kill, the same call goes on from there
        and ends with the same draws, bit for bit (Pyro's own engines start again). It is yours to remove afterwards
    Raises `InputError` for what does not fit together.
    """
    config = registry.default_config("inference", inference) if isinstance(inference, str) else inference
    require_choice("compiled", compiled, ("auto", "always", "never"))
    engine = registry.find("inference", config.name)
    shown = (TerminalProgress() if progress else Progress()) if isinstance(progress, bool) else progress
    began = time.perf_counter()
    dtype = getattr(torch, getattr(config, "dtype", "float32"))
    density = placed(model, tensors_of(model, data), dtype, device, config)
    given = None if start is None else values_of(start, density, config)
    record = FitRecord.open(checkpoint, density, config, seed, given)
    generator = torch.Generator().manual_seed(seed)
    climbing, sampling = (Checkpoints(generator, record.part(name)) for name in ("warm_start", "engine"))

    partly = isinstance(model, Student) and len(model.bayesian) < len(density.sites)
    partly = partly and not gives_points(config)
    num_starts = 1 if partly else config.num_chains
    theta = first_values(density, model, num_starts, generator)
    if given is not None:
        theta = given[:num_starts].expand(num_starts, -1)
    elif getattr(config, "warm_start", 0):
        warm = replace(map_engine.warm_start(config), num_starts=num_starts)
        planned = record.plan("warm_start", density, warm, compiled)
        with record.threads("warm_start"):
            theta, _ = map_engine.climb(planned, warm, theta, generator, shown, climbing)
    elif partly:
        raise InputError(
            "layers that are not Bayesian are held at their MAP; set warm_start above 0, or give start"
        )
    if partly:
        density, theta = held_at(density, cast(Student, model).bayesian, theta[0], config.num_chains)
    density = record.plan("engine", density, config, compiled)
    with record.threads("engine"):
        draws: Draws = engine.sample(density, config, theta, generator, shown, sampling)
    posterior = Posterior.of(model, density, draws, config, seed, time.perf_counter() - began)
    resumed = climbing.resumed_from if sampling.resumed_from is None else sampling.resumed_from
    places = 1 if partly or (given is not None and len(given) == 1) else config.num_chains
    return replace(posterior, meta=posterior.meta | {"resumed_from_step": resumed, "superchains": places})


def tensors_of(model: Student | Callable[..., Any], data: Data) -> tuple[Tensor, ...]:
    """The model's tensor arguments."""
    if isinstance(model, Student):
        if not isinstance(data, DistillationData) and len(data) != 2:
            raise InputError(f"a student is fitted to (x, y); {len(data)} tensors were given")
        return model.rows(data)
    if isinstance(data, DistillationData):
        data = (data.pool.x, data.pool.y)
    parameters = inspect.signature(model.forward if isinstance(model, torch.nn.Module) else model).parameters
    required = [
        p
        for p in parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) > len(data):
        raise InputError(f"the model takes {[p.name for p in required]}, but {len(data)} tensors were given")
    return tuple(torch.as_tensor(value) for value in data)


def values_of(start: Posterior, density: Density, config: EngineConfig) -> Tensor:
    """The first draw of each chain of a posterior, `[C, D]` or, of one chain, `[1, D]`."""
    theta = density.flatten({name: value[:, 0] for name, value in start.samples().items()})
    if len(theta) not in (1, config.num_chains):
        raise InputError(
            f"start has {len(theta)} chains, the engine {config.num_chains}; give as many, or one"
        )
    return theta


def held_at(density: Density, bayesian: list[str], theta: Tensor, num_chains: int) -> tuple[Density, Tensor]:
    """The density of some sites, the others held where the flat vector `[D]` has them; and as many starts there."""
    values = density.unflatten(theta)
    density = density.restrict(bayesian, values)
    return density, density.flatten(values).expand(num_chains, -1)


def first_values(
    density: Density, model: Student | Callable[..., Any], num_chains: int, generator: torch.Generator
) -> Tensor:
    """Independent starts `[C, D]`: a student's own initial weights; for all else small normals around the
    unconstrained 0."""
    if isinstance(model, Student):
        starts = [model.initial(generator) for _ in range(num_chains)]
        projectors = [site for site in density.sites if site.name not in starts[0]]
        for start in starts:
            start |= {site.name: 0.1 * torch.randn(site.shape, generator=generator) for site in projectors}
        return torch.stack([density.flatten(start) for start in starts])
    return 0.1 * torch.randn(num_chains, density.dim, generator=generator, dtype=density.dtype)


def placed(
    model: Student | Callable[..., Any],
    tensors: tuple[Tensor, ...],
    dtype: torch.dtype,
    device: str,
    config: EngineConfig,
) -> Density:
    """The density on its device; for 'auto' by size: what is too small for a second thread is too small for a GPU,
    where each operation waits some 10 microseconds for its launch (numpyro#1466)."""
    density = Density(model, tensors, dtype=dtype, device=pick_device(device))
    if device != "auto" or not torch.cuda.is_available():
        return density
    batch_size = getattr(config, "batch_size", None)
    if density.plan(config.num_chains, config.evaluations, batch_size, "never").small:
        return density
    return Density(model, tensors, dtype=dtype, device="cuda")


def pick_device(device: str) -> torch.device:
    """The named device; for 'auto' the CPU, until the size of the work is known (see `placed`).

    Raises `InputError` for an unknown one, and for CUDA where there is none.
    """
    if device == "auto":
        return torch.device("cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device '{device}' is unknown; valid: auto, cpu, cuda, cuda:N") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device '{device}': this machine has no CUDA device; use cpu or auto")
    return chosen
