"""One step of variational inference against a training step without Bayes, and against other libraries' steps.

    python -m experiments.benchmarks.svi_step [--json] [--quick] [--device cuda]

Network 64-64-64-10, mini-batches of 128 of the same 1,437 rows, diagonal normal guide, one draw a step, Adam. Ours is
the engine's own step without its progress bar; Pyro's steps are of the same Pyro model. Compilation is left out: the
step is what repeats. `ratio_to_plain_step` in the JSON is ours to the plain eager step.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from experiments.benchmarks.by_hand import checked_log_posterior
from experiments.benchmarks.command import Options, main
from experiments.benchmarks.peers import import_posteriors, missing
from experiments.benchmarks.plain_steps import plain_steps
from experiments.benchmarks.problem import Problem, made_up
from experiments.benchmarks.result import Result, Row, time_row
from experiments.benchmarks.turns import Contender, StepClock, finished, on_quickest_threads, take_turns
from mtbkd.density import Density
from mtbkd.inference import svi
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.students.student import Student

OURS, EAGER, COMPILED = "ours", "plain KD step, eager", "plain KD step, compiled"
MEASURE = "SVI step, 64-64-64-10, batch 128"


def benchmark(options: Options) -> Result:
    """All contenders in turns."""
    device = options.torch_device
    problem = Problem.load(options.problem) if options.problem else made_up(1437)
    student = problem.mlp([8, 8] if options.quick else [64, 64])
    density = Density(student, student.rows((problem.x, problem.y)), device=device)
    batch_size = 128

    def plain() -> torch.nn.Module:
        return copy.deepcopy(student.skeleton.module)

    contenders = [
        our_steps(density, batch_size, compiled=not options.quick),
        Contender(EAGER, plain_steps(problem, plain(), batch_size, device, False)),
        *([] if options.quick else [compiled_plain(problem, plain(), batch_size, device)]),
        Contender("Pyro SVI, AutoNormal", pyro_steps(pyro_svi("AutoNormal", student), density, batch_size)),
        Contender(
            "Pyro SVI, AutoDiagonalNormal",
            pyro_steps(pyro_svi("AutoDiagonalNormal", student), density, batch_size),
        ),
    ]
    skipped = {}
    if reason := missing("posteriors"):
        skipped["posteriors"] = reason
    else:
        contenders.append(Contender("posteriors VI", posteriors_steps(student, density, batch_size)))
    ours, *others = contenders
    others = [on_quickest_threads(c, options.seconds / 5) for c in others]
    times = take_turns([ours, *others], options.rounds, options.seconds)
    rows = [time_row(MEASURE, times, OURS, c.name, target=1.0 if c.name == EAGER else None) for c in others]
    return Result(
        "svi_step",
        rows,
        skipped,
        {"ratio_to_plain_step": median_ratio(rows, EAGER)},
        {"weights": density.dim, "batch_size": batch_size, "data": problem.name, "rows": len(problem.x)},
    )


def median_ratio(rows: list[Row], peer: str) -> float:
    """Of ours to this peer."""
    (ratio,) = (row.ratio for row in rows if row.peer == peer)
    assert ratio is not None
    return ratio.median


def compiled_plain(
    problem: Problem, network: torch.nn.Module, batch_size: int, device: torch.device
) -> Contender:
    """The plain step through torch.compile."""
    return Contender(COMPILED, plain_steps(problem, network, batch_size, device, True))


def our_steps(density: Density, batch_size: int, compiled: bool) -> Contender:
    """The engine's steps, on as many threads as the engine would take."""
    config = svi.SVIConfig(batch_size=batch_size, steps=10**6, draws=1, learning_rate=1e-3)
    planned = density.plan(1, config.evaluations, batch_size, "always" if compiled else "never")
    rng = torch.Generator().manual_seed(0)
    start = density.flatten(density.model.initial(rng))[None]  # type: ignore[attr-defined]

    def run(steps: int) -> float:
        clock = StepClock()
        timed = replace(config, steps=max(20, steps))
        svi.sample(planned, timed, start, rng, clock, Checkpoints(rng))
        return clock.seconds_a_step * steps

    return Contender(OURS, run, 1 if planned.small else None)


def pyro_svi(guide_name: str, student: Student) -> Any:
    """Pyro's SVI on the student's own model."""
    import pyro.optim
    from pyro.infer import SVI, Trace_ELBO, autoguide

    guide = getattr(autoguide, guide_name)(student, init_scale=0.01)
    return SVI(student, guide, pyro.optim.Adam({"lr": 1e-3}), Trace_ELBO())


def pyro_steps(svi: Any, density: Density, batch_size: int) -> Callable[[int], None]:
    """Its steps, with validation off as its documentation has it for speed."""
    import pyro

    batches = Batches(density, batch_size)
    store = pyro.get_param_store().get_state()

    def run(count: int) -> None:
        nonlocal store
        with pyro.get_param_store().scope(store) as store, pyro.validation_enabled(False):
            for _ in range(count):
                *tensors, scale = density.batch(batches.rows())
                svi.step(*tensors, scale=scale)
        finished(density.device)

    return run


def posteriors_steps(student: Student, density: Density, batch_size: int) -> Callable[[int], None]:
    """posteriors.vi.diag with its documentation's temperature, 1 / N."""
    import torchopt

    posteriors = import_posteriors()
    log_posterior = checked_log_posterior(student, density)
    transform = posteriors.vi.diag.build(
        log_posterior, torchopt.adam(lr=1e-3), temperature=1 / density.num_rows, init_log_sds=-4.6
    )
    rng = torch.Generator().manual_seed(0)
    first = {name: value.to(density.device) for name, value in student.initial(rng).items()}
    state = transform.init(first)
    batches = Batches(density, batch_size)

    def run(count: int) -> None:
        nonlocal state
        for _ in range(count):
            state, _ = transform.update(state, density.batch(batches.rows())[:-1])
        finished(density.device)

    return run


class Batches:
    """Shuffled epochs of one batch size."""

    def __init__(self, density: Density, batch_size: int) -> None:
        self.num_rows, self.batch_size = density.num_rows, batch_size
        self.left: list[torch.Tensor] = []

    def rows(self) -> torch.Tensor:
        """The next batch's rows."""
        if not self.left:
            order = torch.randperm(self.num_rows)
            self.left = list(order.split(self.batch_size)[: self.num_rows // self.batch_size])
        return self.left.pop()


if __name__ == "__main__":
    main(benchmark, __doc__)
