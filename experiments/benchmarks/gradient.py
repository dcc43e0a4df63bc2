"""Value and gradient of the digits posterior for many chains at once, against JAX's jitted vmap.

    python -m experiments.benchmarks.gradient [--json] [--quick] [--device cuda]

All 1,437 rows, network 64-16-16-10, float32. JAX's density is checked against ours first. On CUDA: 64, 256 and 1,024
chains, and ours in bfloat16, in TF32 and as CUDA graphs besides, for absolute times.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from experiments.benchmarks.by_hand import checked_jax
from experiments.benchmarks.command import Options, main
from experiments.benchmarks.peers import missing
from experiments.benchmarks.problem import Problem, given_or_digits, made_up
from experiments.benchmarks.result import Result, Row, time_row
from experiments.benchmarks.turns import Contender, Times, finished, take_turns
from mtbkd.density import Density
from mtbkd.students.student import Student

OURS, EAGER, JAX = "ours", "ours, eager", "JAX, jit of vmap"
TARGET_CHAINS = 16


def benchmark(options: Options) -> Result:
    """For each number of chains, all contenders in turns."""
    device = options.torch_device
    problem = made_up(200) if options.quick and not options.problem else given_or_digits(options.problem)
    student = problem.mlp([16, 16])
    density = density_of(student, problem, device, torch.float32)
    skipped = {}
    if reason := missing("jax", device=device):
        skipped["JAX"] = reason
    log_density = None if skipped else checked_jax(student, density)
    rows: list[Row] = []
    figures: dict[str, float] = {}
    for chains in numbers_of_chains(options, device):
        contenders = [ours(density, chains, options), ours(density, chains, options, compiled=False)]
        if log_density is not None:
            contenders.append(Contender(JAX, jax_gradients(log_density, points(density, chains))))
        if device.type == "cuda":
            contenders += on_cuda(student, problem, density, chains)
        times = take_turns(contenders, options.rounds, options.seconds)
        rows += rows_of(times, chains)
        figures |= {f"ms_{chains}_chains": 1e3 * sorted(times[OURS])[len(times[OURS]) // 2]}
    settings = {"weights": density.dim, "rows": density.num_rows, "data": problem.name}
    return Result("gradient", rows, skipped, figures, settings)


def numbers_of_chains(options: Options, device: torch.device) -> Sequence[int]:
    """What is asked of a CPU, and of a GPU."""
    if options.quick:
        return (2,)
    return (16, 64, 256, 1024) if device.type == "cuda" else (1, 16)


def rows_of(times: Times, chains: int) -> list[Row]:
    """Ours against each other contender."""
    measure = f"gradient, {chains} chain{'s' * (chains > 1)}"
    goal = 0.5 if chains == TARGET_CHAINS else None
    return [
        time_row(measure, times, OURS, name, target=goal if name == JAX else None)
        for name in times
        if name != OURS
    ]


def density_of(student: Student, problem: Problem, device: torch.device, dtype: torch.dtype) -> Density:
    """Of all rows."""
    return Density(student, student.rows((problem.x, problem.y)), device=device, dtype=dtype)


def points(density: Density, chains: int) -> Tensor:
    """Where gradients are taken, `[C, D]`."""
    rng = torch.Generator().manual_seed(0)
    return (0.2 * torch.randn(chains, density.dim, generator=rng)).to(density.device, density.dtype)


def ours(
    density: Density, chains: int, options: Options, compiled: bool = True, name: str | None = None
) -> Contender:
    """Compiled, as a run of some thousand gradients is, or eager."""
    really = compiled and not options.quick
    planned = density.plan(chains, 10**5, compiled="always" if really else "never")
    theta = points(density, chains)

    def run(steps: int) -> None:
        for _ in range(steps):
            planned.value_and_grad(theta)
        finished(planned.device)

    return Contender(name or (OURS if compiled else EAGER), run, 1 if planned.small else None)


def jax_gradients(log_density: Callable[[Any], Any], theta: Tensor) -> Callable[[int], None]:
    """JAX's, for `theta [C, D]`."""
    import jax

    both = jax.jit(jax.vmap(jax.value_and_grad(log_density)))
    where = jax.device_put(theta.cpu().numpy())

    def run(steps: int) -> None:
        for _ in range(steps):
            found = both(where)
        jax.block_until_ready(found)

    return run


# ---- what only a GPU has -----------------------------------------------------------------------------------------


def on_cuda(student: Student, problem: Problem, density: Density, chains: int) -> list[Contender]:
    """TF32 and bfloat16 (for sampling too coarse: what it would bring), and CUDA graphs."""
    options = Options(device=str(density.device))
    narrow = density_of(student, problem, density.device, torch.bfloat16)
    tf32 = ours(
        density_of(student, problem, density.device, torch.float32), chains, options, name="ours, TF32"
    )

    def in_tf32(steps: int) -> float | None:
        with tf32_products():
            return tf32.run(steps)

    return [
        Contender(tf32.name, in_tf32),
        ours(narrow, chains, options, name="ours, bfloat16"),
        Contender("ours, CUDA graphs", with_cuda_graphs(density, chains)),
    ]


@contextmanager
def tf32_products():  # type: ignore[no-untyped-def]
    """Matrix products in TF32 within."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def with_cuda_graphs(density: Density, chains: int) -> Callable[[int], None]:
    """The density's traced graph compiled in the mode that replays CUDA graphs."""
    theta = points(density, chains)
    eager = density.plan(chains, 1, compiled="never")
    module = eager.graph("value_and_grad", theta, eager.full).module
    compiled = torch.compile(module, dynamic=False, mode="reduce-overhead")

    def run(steps: int) -> None:
        for _ in range(steps):
            torch.compiler.cudagraph_mark_step_begin()
            compiled(theta, *eager.full)
        finished(density.device)

    return run


if __name__ == "__main__":
    main(benchmark, __doc__)
