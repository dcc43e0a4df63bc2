"""Predictive probabilities of posterior draws, against Pyro's `Predictive`.

    python -m experiments.benchmarks.predict [--json] [--quick]          (on the CPU, where posteriors are kept)

1,000 draws of the network 64-16-16-10, at 360 held-out inputs as digits has, and at one and at 2,000. Pyro's model is
the network with a prior on its weights and nothing else; both must give the same probabilities. `Predictive` takes
draws one by one: `parallel=True` fails on a network in a PyroModule. The floor is what the matrix products alone
take, of all draws at once, with nothing between them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.benchmarks.command import Options, main
from experiments.benchmarks.problem import made_up
from experiments.benchmarks.result import Result, rate_row
from experiments.benchmarks.turns import Contender, on_quickest_threads, take_turns
from mtbkd.posterior import Posterior
from mtbkd.students.student import Student

OURS, PYRO, FLOOR = "ours", "Pyro's Predictive", "the matrix products alone"
HELD_OUT_INPUTS = 360


def benchmark(options: Options) -> Result:
    """For each number of inputs, both in turns."""
    draws = 20 if options.quick else 1000
    student = made_up(32).mlp([16, 16])
    posterior = posterior_of(student, draws)
    rows = []
    for inputs in (1, 50) if options.quick else (1, HELD_OUT_INPUTS, 2000):
        x = torch.randn(inputs, 64, generator=torch.Generator().manual_seed(1))
        contenders = [
            Contender(OURS, times_over(our_probs(posterior, x))),
            pyro_contender(student, posterior, x),
            Contender(FLOOR, times_over(products(posterior, x))),
        ]
        check_same(our_probs(posterior, x)(), pyro_probs(student, posterior, x)())
        turns = [on_quickest_threads(contender, options.seconds / 5) for contender in contenders]
        times = take_turns(turns, options.rounds, options.seconds)
        goal = 20.0 if inputs == HELD_OUT_INPUTS else None
        measure = f"predictive draws x inputs, {draws:,} draws, {inputs:,} input{'s' * (inputs > 1)}"
        work = draws * inputs
        rows.append(rate_row(measure, "a second", work, times, OURS, PYRO, target=goal))
        rows.append(rate_row(measure, "a second", work, times, OURS, FLOOR))
    return Result("predict", rows, settings={"draws": draws, "weights": student.skeleton.num_weights})


def posterior_of(student: Student, draws: int) -> Posterior:
    """A posterior of four chains of random draws."""
    rng = torch.Generator().manual_seed(0)
    shapes = student.skeleton.shapes
    values = {n: 0.2 * torch.randn(4, draws // 4, *shape, generator=rng) for n, shape in shapes.items()}
    return Posterior(values, torch.zeros(4, draws // 4), skeleton=student.skeleton)


def our_probs(posterior: Posterior, x: Tensor) -> Callable[[], Tensor]:
    """`[S, N, K]` by `Posterior.predict`."""
    return lambda: posterior.predict(x).probs


def products(posterior: Posterior, x: Tensor) -> Callable[[], Tensor]:
    """`[S, K, N]` of the layers' products, first of all draws with the inputs they share, then draw by draw."""
    first, *others = (v.flatten(0, 1) for v in posterior.values.values() if v.ndim == 4)
    draws, width, _ = first.shape

    def run() -> Tensor:
        hidden = (first.flatten(0, 1) @ x.T).view(draws, width, len(x))
        for weight in others:
            hidden = weight @ hidden
        return hidden

    return run


def pyro_probs(student: Student, posterior: Posterior, x: Tensor) -> Callable[[], Tensor]:
    """`[S, N, K]` by Pyro's `Predictive` with these draws."""
    import pyro
    from pyro.infer import Predictive

    from mtbkd.students.weight_prior import sample_weights

    def model(x: Tensor) -> Tensor:
        return student.skeleton(sample_weights(student.weight_prior.distributions(student.skeleton, x)), x)

    samples = {name: v.flatten(0, 1) for name, v in posterior.values.items()}
    predictive = Predictive(model, samples, return_sites=("_RETURN",))

    def probs() -> Tensor:
        with torch.no_grad(), pyro.validation_enabled(False):
            return torch.softmax(predictive(x)["_RETURN"], -1)

    return probs


def pyro_contender(student: Student, posterior: Posterior, x: Tensor) -> Contender:
    """Pyro's turns."""
    return Contender(PYRO, times_over(pyro_probs(student, posterior, x)))


def times_over(call: Callable[[], Tensor]) -> Callable[[int], None]:
    """The call so many times."""

    def run(steps: int) -> None:
        for _ in range(steps):
            call()

    return run


def check_same(ours: Tensor, theirs: Tensor) -> None:
    """Raise where the two do not say the same."""
    torch.testing.assert_close(ours, theirs.view_as(ours), rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    main(benchmark, __doc__)
