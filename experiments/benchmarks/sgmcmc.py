"""Chain-steps a second of stochastic-gradient samplers, against `posteriors`.

    python -m experiments.benchmarks.sgmcmc [--json] [--quick] [--device cuda]

16 chains of the digits posterior, network 64-16-16-10, mini-batches of 128 that all chains share, SGLD and SGHMC with
the same step, friction and temperature and no preconditioner. Ours is the engine's own loop. `posteriors` runs as its
documentation has it: the mean log posterior with temperature 1 / N, one `transform.update` a chain; and, faster, all
chains in one update of a vmapped log posterior. Both start from the same MAPs; a ratio counts where the means of
held-out probabilities agree.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

import mtbkd
from experiments.benchmarks.by_hand import Weights, checked_log_posterior
from experiments.benchmarks.command import Options, main
from experiments.benchmarks.effective import Agreement, agreement
from experiments.benchmarks.peers import import_posteriors, missing
from experiments.benchmarks.problem import Problem, given_or_digits, made_up
from experiments.benchmarks.result import Result, Row, rate_row
from experiments.benchmarks.turns import Contender, StepClock, finished, on_quickest_threads, take_turns
from mtbkd import registry
from mtbkd.density import Density
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.engine import Draws
from mtbkd.inference.map import MAPConfig
from mtbkd.posterior import Posterior, by_site
from mtbkd.progress import Progress
from mtbkd.students.student import Student

BATCH_SIZE = 128
OURS, SERIAL, STACKED = "ours", "posteriors, a chain at a time", "posteriors, all chains vmapped"

# Our steps, of the log posterior averaged over rows; friction of SGHMC.
STEP = {"sgld": 0.02, "sghmc": 0.002}
FRICTION = 0.1

Sampler = Callable[[int], Tensor]


def benchmark(options: Options) -> Result:
    """SGLD, then SGHMC: all contenders in turns, and whether they sample the same."""
    device = options.torch_device
    chains, steps = (2, 40) if options.quick else (16, 3000)
    problem = made_up(300) if options.quick and not options.problem else given_or_digits(options.problem)
    student = problem.mlp([16, 16])
    density = Density(student, student.rows((problem.x, problem.y)), device=device)
    skipped = {"posteriors": reason} if (reason := missing("posteriors")) else {}
    start = starts(problem, student, density, chains, options)
    rows: list[Row] = []
    for name in ("sgld", "sghmc"):
        rows += compare(name, problem, density, start, steps, options, bool(skipped))
    settings = {"chains": chains, "weights": density.dim, "batch_size": BATCH_SIZE, "steps compared": steps}
    return Result("sgmcmc", rows, skipped, settings=settings | {"data": problem.name})


def starts(problem: Problem, student: Student, density: Density, chains: int, options: Options) -> Tensor:
    """MAPs, `[C, D]`."""
    config = MAPConfig(steps=20 if options.quick else 1500, num_starts=chains)
    posterior = mtbkd.fit(student, (problem.x, problem.y), config, device=str(density.device), progress=False)
    return density.flatten({name: value[:, 0] for name, value in posterior.values.items()})


def compare(
    name: str,
    problem: Problem,
    density: Density,
    start: Tensor,
    steps: int,
    options: Options,
    alone: bool,
) -> list[Row]:
    """Rows of one sampler."""
    planned = density.plan(len(start), 10**6, BATCH_SIZE, "never" if options.quick else "always")
    contenders = [our_contender(name, planned, start)]
    if not alone:
        posteriors = import_posteriors()
        one = checked_log_posterior(density.model, density)  # type: ignore[arg-type]
        transform = transform_of(name, posteriors, one, density.num_rows)
        stacked = transform_of(name, posteriors, summed_over_chains(one), density.num_rows)
        contenders += [
            on_quickest_threads(Contender(SERIAL, serial_steps(transform, density, start))),
            on_quickest_threads(Contender(STACKED, stacked_steps(stacked, density, start))),
        ]
    times = take_turns(contenders, options.rounds, options.seconds)
    measure, unit = f"{name.upper()}, {len(start)} chains", "chain-steps a second"
    if alone:
        rates = sorted(len(start) / t for t in times[OURS])
        return [Row(measure, "", unit, rates[len(rates) // 2], lower=False)]
    found = agree(problem, density, our_draws(name, planned, start, steps), stacked, start, steps)
    rest = {"target": 3.0, "counts": found.holds, "note": str(found)}
    return [
        rate_row(measure, unit, len(start), times, OURS, peer, **(rest if peer == STACKED else {}))
        for peer in (STACKED, SERIAL)
    ]


# ---- ours --------------------------------------------------------------------------------------------------------


def run_engine(
    name: str, planned: Density, start: Tensor, steps: int, draws: int, progress: Progress
) -> Draws:
    """The engine, `steps` steps in all, without warm-up and preconditioner."""
    config = replace(
        registry.default_config("inference", name),
        num_chains=len(start),
        warmup=0,
        draws=draws,
        thin=max(1, steps // draws),
        batch_size=BATCH_SIZE,
        precondition="none",
        step_size=STEP[name],
        **({"friction": FRICTION} if name == "sghmc" else {}),
    )
    rng = torch.Generator().manual_seed(1)
    engine = registry.find("inference", name)
    draws_found: Draws = engine.sample(planned, config, start, rng, progress, Checkpoints(rng))
    return draws_found


def our_contender(name: str, planned: Density, start: Tensor) -> Contender:
    """The engine's loop, timed from within."""

    def run(steps: int) -> float:
        clock = StepClock()
        run_engine(name, planned, start, max(20, steps), 1, clock)
        return clock.seconds_a_step * steps

    return Contender(OURS, run, 1 if planned.small else None)


def our_draws(name: str, planned: Density, start: Tensor, steps: int) -> Tensor:
    """A draw every tenth step, `[C, S, D]`."""
    return run_engine(name, planned, start, steps, max(4, steps // 10), Progress()).theta


# ---- posteriors --------------------------------------------------------------------------------------------------


def transform_of(
    name: str, posteriors: ModuleType, log_posterior: Callable[[Weights, Any], Any], num_rows: int
) -> Any:
    """Their sampler with our step: lr = step / 2 for SGLD; for SGHMC theirs has theta += lr m, so that our velocity is
    lr m, our h N is lr^2 and our friction lr alpha. (They move by the momentum before its update, we by the one after:
    the same process, another error of the step.)"""
    if name == "sgld":
        return posteriors.sgmcmc.sgld.build(log_posterior, lr=STEP[name] / 2, temperature=1 / num_rows)
    lr = math.sqrt(STEP[name])
    return posteriors.sgmcmc.sghmc.build(
        log_posterior, lr=lr, alpha=FRICTION / lr, temperature=1 / num_rows, momenta=0.0
    )


def summed_over_chains(one: Callable[[Weights, Any], Any]) -> Callable[[Weights, Any], Any]:
    """Of stacked weights `[C, *shape]`: the chains' gradients do not touch in the sum."""

    def log_posterior(weights: Weights, batch: Any) -> Any:
        values, logits = torch.vmap(one, (0, None))(weights, batch)
        return values.sum(), logits

    return log_posterior


def batches(density: Density) -> Callable[[], tuple[Tensor, ...]]:
    """Mini-batches of shuffled epochs."""
    left: list[Tensor] = []

    def batch() -> tuple[Tensor, ...]:
        if not left:
            order = torch.randperm(density.num_rows).split(BATCH_SIZE)
            left.extend(order[: density.num_rows // BATCH_SIZE])
        return density.batch(left.pop())[:-1]

    return batch


def serial_steps(transform: Any, density: Density, start: Tensor) -> Callable[[int], None]:
    """Every chain's update, one after the other."""
    states = [transform.init(density.unflatten(row)) for row in start]
    batch = batches(density)

    def run(steps: int) -> None:
        for _ in range(steps):
            rows = batch()
            for chain, state in enumerate(states):
                states[chain], _ = transform.update(state, rows)
        finished(density.device)

    return run


def stacked_steps(
    transform: Any, density: Density, start: Tensor, keep: Callable[[Weights], None] | None = None
) -> Callable[[int], None]:
    """One update of all chains; `keep` is shown the weights after each tenth step."""
    state = transform.init(density.unflatten(start))
    batch = batches(density)

    def run(steps: int) -> None:
        nonlocal state
        for step in range(steps):
            state, _ = transform.update(state, batch())
            if keep is not None and step % 10 == 9:
                keep(state.params)
        finished(density.device)

    return run


def agree(
    problem: Problem, density: Density, ours: Tensor, transform: Any, start: Tensor, steps: int
) -> Agreement:
    """Whether both say the same of the held-out inputs on average."""
    kept: list[Tensor] = []
    names = [site.name for site in density.sites]

    def keep(weights: Weights) -> None:
        kept.append(density.flatten({name: weights[name] for name in names}).clone())

    stacked_steps(transform, density, start, keep)(steps)
    theirs = torch.stack(kept, 1).cpu()
    # The first third is on its way from the MAP.
    settled = slice(theirs.shape[1] // 3, None)
    return agreement(*(probs_of(problem, density, theta[:, settled]) for theta in (ours, theirs)))


def probs_of(problem: Problem, density: Density, theta: Tensor) -> np.ndarray:
    """Probability of the true class of each held-out input, `[C, S, D]` -> `[C, S, Q]`."""
    skeleton = density.model.skeleton  # type: ignore[attr-defined]
    posterior = Posterior(by_site(density, theta), torch.zeros(theta.shape[:2]), skeleton=skeleton)
    probs = posterior.predict(problem.held_x).by_chain
    truth = problem.held_y.expand(*probs.shape[:3])[..., None]
    return probs.gather(-1, truth)[..., 0].double().numpy()


if __name__ == "__main__":
    main(benchmark, __doc__)
