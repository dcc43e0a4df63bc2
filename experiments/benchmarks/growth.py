"""How the cost of a gradient grows: with the number of chains, of weights and of rows.

    python -m experiments.benchmarks.growth [--json] [--quick] [--device cuda]

From one chain of the network 64-16-16-10 on 1,437 rows: 1 to 256 chains, 1e3 to 1e6 weights (64-h-h-10), 1e3 to 1e6
rows; compiled, float32. The slope is of log time against log size over the larger half of the sizes: 1 is proportional.
The picture is written to experiments/results/growth.svg, of a GPU to growth-cuda.svg.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments.benchmarks.command import Options, main
from experiments.benchmarks.problem import Problem, made_up
from experiments.benchmarks.result import Result, Row
from experiments.benchmarks.turns import Contender, finished, take_turns
from mtbkd.density import Density

RESULTS = Path(__file__).parents[1] / "results"
INPUTS, CLASSES = 64, 10
CHAINS = (1, 4, 16, 64, 256)
WEIGHTS = (1e3, 1e4, 1e5, 1e6)
ROWS = (1e3, 1e4, 1e5, 1e6)


@dataclass(frozen=True)
class Sweep:
    """Milliseconds of a gradient by size: each size's median, smallest and largest turn."""

    name: str
    sizes: Sequence[float]
    median: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]

    @property
    def slope(self) -> float:
        """Of log time against log size, over the larger half of the sizes."""
        x, y = np.log(self.sizes[self.first :]), np.log(self.median[self.first :])
        return float(np.polyfit(x, y, 1)[0])

    @property
    def first(self) -> int:
        """Where the larger half of the sizes begins."""
        return (len(self.sizes) - 1) // 2


def benchmark(options: Options) -> Result:
    """Three sweeps, each with its sizes in turns."""
    device = options.torch_device
    small = made_up(200 if options.quick else 1437)
    chains, weights, rows = ((1, 2), (1e3, 2e3), (100, 200)) if options.quick else (CHAINS, WEIGHTS, ROWS)
    sweeps = [
        sweep("chains", chains, [gradient(small, 16, c, device, options) for c in chains], options),
        sweep("weights", weights, [gradient(small, width(w), 1, device, options) for w in weights], options),
        sweep("rows", rows, [gradient(made_up(int(n)), 16, 1, device, options) for n in rows], options),
    ]
    if not options.quick:
        draw(sweeps, RESULTS / ("growth-cuda.svg" if device.type == "cuda" else "growth.svg"))
    table = [Row(f"gradient, power of its growth with {words(s)}", "", "", s.slope) for s in sweeps]
    settings = {
        "sizes": {s.name: list(s.sizes) for s in sweeps},
        "ms": {s.name: [list(s.low), list(s.median), list(s.high)] for s in sweeps},
    }
    return Result("growth", table, figures={f"slope_{s.name}": s.slope for s in sweeps}, settings=settings)


def words(sweep: Sweep) -> str:
    """Which sizes a slope is of."""
    return f"{sweep.name}, {sweep.sizes[sweep.first]:,.0f} to {sweep.sizes[-1]:,.0f}"


def width(weights: float) -> int:
    """h of the network 64-h-h-10 with about so many weights: h^2 + (64 + 10 + 2) h + 10."""
    b = INPUTS + CLASSES + 2
    return max(1, round((math.sqrt(b * b + 4 * (weights - CLASSES)) - b) / 2))


def gradient(problem: Problem, hidden: int, chains: int, device: torch.device, options: Options) -> Contender:
    """A gradient of all rows."""
    student = problem.mlp([hidden, hidden])
    density = Density(student, student.rows((problem.x, problem.y)), device=device)
    planned = density.plan(chains, 10**5, compiled="never" if options.quick else "always")
    rng = torch.Generator().manual_seed(0)
    theta = (0.05 * torch.randn(chains, density.dim, generator=rng)).to(device)

    def run(steps: int) -> None:
        for _ in range(steps):
            planned.value_and_grad(theta)
        finished(device)

    return Contender(f"{chains}-{hidden}-{len(problem.x)}", run, 1 if planned.small else None)


def sweep(name: str, sizes: Sequence[float], contenders: Sequence[Contender], options: Options) -> Sweep:
    """Time each size."""
    times = take_turns(contenders, options.rounds, options.seconds / 2)
    ms = [[1e3 * t for t in times[c.name]] for c in contenders]
    return Sweep(name, sizes, [statistics.median(t) for t in ms], [min(t) for t in ms], [max(t) for t in ms])


def draw(sweeps: Sequence[Sweep], path: Path) -> None:
    """Time against size, both axes logarithmic, with the slope in each panel."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(sweeps), figsize=(10, 3.2), sharey=True, layout="constrained")
    for axis, found in zip(axes, sweeps, strict=True):
        axis.fill_between(found.sizes, found.low, found.high, alpha=0.25, linewidth=0)
        axis.loglog(found.sizes, found.median, marker="o")
        axis.set(xlabel=found.name, title=f"slope {found.slope:.2f}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ms a gradient")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main(benchmark, __doc__)
